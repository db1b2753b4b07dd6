//! What a reviewer should not have to check by hand.
