"""What users give, checked: labels, groups and the values of parameters."""
