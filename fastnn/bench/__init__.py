"""`fastnn bench`: this library beside every peer that is installed: the same work, the same threads, in turns, checked before timed."""
