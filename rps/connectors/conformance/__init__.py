"""What every connector has to do with its system, asked of a real one.

A run makes a few records and leaves them there. What a system cannot be made to do
(lose an answer, be busy) is done on the way to it.
"""
