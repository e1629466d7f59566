"""The words of a team's mailbox, through which its threads meet: where each stands, and what it holds.

What is written often, and by different threads, stands on cache lines of its own.
"""

LINE = 8  # words

# The work that is posted. A ticket is a running number, two bits that say how the work is shared out, and, in its last byte, how many
# workers take part: one that does not take part never looks at the rest, which may be changing.
TICKET, ENTRY, RECORD = 0, LINE, LINE + 1
PARTS_MASK, OFFERED, OPENED, NUMBER_MASK = 255, 256, 512, 1023
# Work in pieces: how many there are and, in the lower half, how many of them have been taken.
CLAIM = 2 * LINE
TAKEN_BITS = 32
TAKEN_MASK = (1 << TAKEN_BITS) - 1
FINISHED = 3 * LINE  # pieces, or shares of others than the caller, that are done
# Work that is open to whoever comes: how many are inside, and whether nobody else may enter; for which ticket it was opened.
DOORS, ROOM = 4 * LINE, 4 * LINE + 1
CLOSED = 1 << 32

BUSY = 5 * LINE  # callers that want the team; who finds none before him has it
SINCE, LAST = BUSY + 1, BUSY + 2  # when works that found somebody asleep began to come, and when the last was done, in nanoseconds

# Addresses of functions: Python's that release and acquire a lock, the system's that tell the time of a clock, the number of a core, and
# the cores that a thread may run on, and that choose these; the last three are 0 where the system lacks one of them.
RING, WAIT, CLOCK, WHICH, CORE, LOOK, MOVE = range(6 * LINE, 6 * LINE + 7)

# Of each worker: whether it sleeps, its bell (a lock of Python's), the number of its thread, whether it was moved to be woken.
ASLEEP = 7 * LINE
AWAKE, SLEEPING, RUNG = 0, 1, 2  # who is sleeping is rung for once, and is awake when the bell has been heard
BELL, THREAD, MOVED = ASLEEP + 1, ASLEEP + 2, ASLEEP + 3
MOST_THREADS = 255
# Two sets of cores for each worker: where it may run, and where it is to wake up.
SET = 16  # words: 1024 cores, as in the C library
HOME = ASLEEP + MOST_THREADS * LINE
AWAY = HOME + SET
WORDS = HOME + 2 * SET * MOST_THREADS

# How work is shared out: in so many pieces if above 0; each worker does its share; or they do what is there for whoever comes.
EACH, OPEN = 0, -1
# Whether sleepers are woken for work, or only found out to be worth waking for what comes next.
ALWAYS, IF_OFTEN = 1, 0
ALONE, SHARED = 0, 1  # who has done it
