"""The paper's research questions, answered with numbers: ``dyntex benchmark --task questions``.

RQ1: does cooperation beat each network alone, a VAE and a GAN of the same networks? RQ2: how does MCMC teach the
generator? RQ3: do modes collapse? RQ4: does the generator distil the chain?
"""
