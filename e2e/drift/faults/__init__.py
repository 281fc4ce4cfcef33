"""Everything that may go wrong with a monitor, in one run beside a server that must not notice."""
