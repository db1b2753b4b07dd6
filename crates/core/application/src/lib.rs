//! What an Application asks for, and what its status answers.
