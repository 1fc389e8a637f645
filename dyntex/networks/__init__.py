"""The networks: the descriptor f(y), the generators g(z), and the layers that both are made of."""
