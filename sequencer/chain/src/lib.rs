//! The X Layer side: reads the inbox, submits batches.
