//! Where in which file a mistake is.

use std::fmt;
use std::ops::Range;

/// A file and what it is called in messages.
#[derive(Clone, Debug)]
pub struct Source {
    path: String,
    text: String,
}

impl Source {
    /// A file that has been read; `path` is how messages call it.
    #[must_use]
    pub fn new(path: impl Into<String>, text: impl Into<String>) -> Source {
        Source { path: path.into(), text: text.into() }
    }

    /// What messages call it.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// What it says.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The line and the column of a byte, both from 1, the column in characters.
    #[must_use]
    pub fn position(&self, offset: usize) -> (usize, usize) {
        let mut offset = offset.min(self.text.len());
        while !self.text.is_char_boundary(offset) {
            offset -= 1;
        }
        let before = &self.text[..offset];
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        (before.matches('\n').count() + 1, before[start..].chars().count() + 1)
    }
}

/// One thing that is wrong with a catalog, and where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mistake {
    /// The line, from 1; 0 if the file as a whole is meant.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What the file is called.
    pub path: String,
    /// What is wrong, and what is allowed.
    pub message: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 {
            write!(f, "{}: {}", self.path, self.message)
        } else {
            write!(f, "{}:{}:{}: {}", self.path, self.line, self.column, self.message)
        }
    }
}

/// Everything that is wrong with a catalog, in the order of the file; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes(Vec<Mistake>);

impl Mistakes {
    /// One mistake that is about the file as a whole.
    pub(crate) fn of_file(path: &str, message: impl Into<String>) -> Mistakes {
        Mistakes(vec![Mistake { line: 0, column: 0, path: path.to_owned(), message: message.into() }])
    }

    /// The mistakes.
    pub fn iter(&self) -> impl Iterator<Item = &Mistake> {
        self.0.iter()
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, mistake) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            mistake.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}

/// Gathers mistakes while a catalog is read, so that all are told at once.
pub(crate) struct Report<'s> {
    source: &'s Source,
    mistakes: Vec<Mistake>,
}

impl<'s> Report<'s> {
    pub(crate) fn new(source: &'s Source) -> Report<'s> {
        Report { source, mistakes: Vec::new() }
    }

    pub(crate) fn source(&self) -> &'s Source {
        self.source
    }

    pub(crate) fn mistake(&mut self, span: &Range<usize>, message: impl Into<String>) {
        let (line, column) = self.source.position(span.start);
        self.mistakes.push(Mistake { line, column, path: self.source.path.clone(), message: message.into() });
    }

    /// How many mistakes there are so far.
    pub(crate) fn count(&self) -> usize {
        self.mistakes.len()
    }

    /// `value`, if there were no mistakes.
    pub(crate) fn finish<T>(mut self, value: T) -> Result<T, Mistakes> {
        if self.mistakes.is_empty() {
            return Ok(value);
        }
        self.mistakes.sort();
        self.mistakes.dedup();
        Err(Mistakes(self.mistakes))
    }
}
