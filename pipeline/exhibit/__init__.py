"""Work on exhibits for people: judging, explaining, comparing and reporting them.

Nothing here decides a number.
"""
