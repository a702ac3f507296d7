//! Nothing: the manifest beside this is what matters. `chassis` depends on it, and so does every program.
