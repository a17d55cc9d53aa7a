"""`sweep compare`: several methods, each run with several seeds under one budget, and a report."""
