"""One room per lab, and what is known of the labs to come."""
