"""casedesk: a small multi-tenant case-management service whose *disk* can degrade.

Real SQLite, real transactions, one writer, a job queue for on-save scripts and mail. No
latency is written down for any operation: SQLite reads and writes pages through a VFS
whose device takes time, and what a user feels follows from the pages touched.
"""
