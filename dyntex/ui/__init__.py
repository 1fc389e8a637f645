"""The web page of ``dyntex ui``: clips and jobs in a folder, worker processes, and a server for one person."""
