//! What is said in the plain services. lan_file has no words: a file is its bytes.

/// A text of somebody in lan_chat, with its line end if it has one. Any bytes; mostly UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Text<'a>(pub &'a [u8]);

/// A camera's frame in lan_video: a pickled numpy array, which nobody has looked at yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame(pub Vec<u8>);
