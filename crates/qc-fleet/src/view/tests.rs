//! What the merged view says of each situation.
