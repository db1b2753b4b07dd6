//! Desired, live and inventory to a comparison and a plan.
