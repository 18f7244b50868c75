# Leaves the ClickHouse of the demonstration, and what only it needs, out of a lock file: a gigabyte
# that no worker imports. A requirement is a line that begins with a name; its hashes follow, indented.
/^[^ #]/ { left_out = /^(chdb|chdb-core|numpy|pandas|pyarrow)==/ }
!left_out
