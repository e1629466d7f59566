"""A count by which recorded programs notice that something they took for granted may have changed."""

changes = [0]  # how often an attribute of any module, or whether any parameter is trained, was assigned
