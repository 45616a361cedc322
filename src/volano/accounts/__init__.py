"""Who may do what: workspaces, members, roles, keys, invitations, anonymous sessions."""
