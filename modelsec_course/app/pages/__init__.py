"""Web pages of notebooks that have been run, which need neither a server nor the network."""
