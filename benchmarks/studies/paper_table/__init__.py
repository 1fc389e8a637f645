"""The paper's table with the paper's networks, ``dyntex benchmark paper-table``, and their trainings."""
