"""The reproduction report: the tables of a run in words, against the paper and its claims."""
