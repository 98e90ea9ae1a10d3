"""The demo company: one week of a grocery chain's payments into its accounting."""
