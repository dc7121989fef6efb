//! Tag expressions: `db and not (test or rack=r1)`.
//!
//! A word stands for everything that carries exactly this tag. `not` binds closer than `and`, `and`
//! closer than `or`; parentheses group. Tags may be of the form `key=value`, which rules about
//! domains of failure (`per = "rack"`) read. Length and depth are limited, so that no text takes long
//! to read.
//!
//! Never here: who carries which tag.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::ids::NAME_LENGTH_MAX;

/// Longest expression, in bytes.
pub const EXPRESSION_LENGTH_MAX: usize = 4096;

/// Deepest nesting of parentheses and negations.
const DEPTH_MAX: u32 = 64;

/// An expression over tags.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Tagged {
    text: String,
    tree: Tree,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Tree {
    Tag(String),
    Not(Box<Tree>),
    And(Box<Tree>, Box<Tree>),
    Or(Box<Tree>, Box<Tree>),
}

/// Why a text is no tag expression.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "tag expression {text:?}: column {column}: {fault} \
     (hint: write tags with `and`, `or`, `not` and parentheses, as in \"db and not test\")"
)]
pub struct TaggedError {
    text: String,
    /// Counted in characters from 1.
    column: usize,
    fault: String,
}

impl Tagged {
    /// The numbers below `count`, rising, of whoever the expression means, where `carriers` has for
    /// each tag the numbers of those that carry it, rising.
    pub fn among(&self, carriers: &BTreeMap<&str, Vec<usize>>, count: usize) -> Vec<usize> {
        self.tree.among(carriers, count)
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl Tree {
    fn among(&self, carriers: &BTreeMap<&str, Vec<usize>>, count: usize) -> Vec<usize> {
        let has = |set: &[usize], one: &usize| set.binary_search(one).is_ok();
        match self {
            Self::Tag(tag) => carriers.get(tag.as_str()).cloned().unwrap_or_default(),
            Self::Not(inner) => {
                let inner = inner.among(carriers, count);
                (0..count).filter(|one| !has(&inner, one)).collect()
            }
            // What is left out needs no list of everybody else.
            Self::And(left, right) => match &**right {
                Self::Not(without) => {
                    let without = without.among(carriers, count);
                    let mut left = left.among(carriers, count);
                    left.retain(|one| !has(&without, one));
                    left
                }
                right => {
                    let right = right.among(carriers, count);
                    let mut left = left.among(carriers, count);
                    left.retain(|one| has(&right, one));
                    left
                }
            },
            Self::Or(left, right) => {
                let mut both = left.among(carriers, count);
                both.extend(right.among(carriers, count));
                both.sort_unstable();
                both.dedup();
                both
            }
        }
    }
}

impl fmt::Display for Tagged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl From<Tagged> for String {
    fn from(tagged: Tagged) -> Self {
        tagged.text
    }
}

impl TryFrom<String> for Tagged {
    type Error = TaggedError;

    fn try_from(text: String) -> Result<Self, TaggedError> {
        text.parse()
    }
}

impl FromStr for Tagged {
    type Err = TaggedError;

    fn from_str(text: &str) -> Result<Self, TaggedError> {
        let shown: String = text.chars().take(200).collect();
        let failed = |(column, fault)| TaggedError { text: shown.clone(), column, fault };
        if text.len() > EXPRESSION_LENGTH_MAX {
            let fault =
                format!("is {} bytes long, the most is {EXPRESSION_LENGTH_MAX}", text.len());
            return Err(failed((1, fault)));
        }
        let tokens = tokens(text).map_err(failed)?;
        let mut parser = Parser { tokens: &tokens, at: 0, end: text.chars().count() + 1, depth: 0 };
        let tree = parser.any().and_then(|tree| parser.finish().map(|()| tree)).map_err(failed)?;
        Ok(Self { text: text.to_owned(), tree })
    }
}

/// A column and what is wrong there.
type Fault = (usize, String);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Open,
    Close,
    And,
    Or,
    Not,
    Tag(String),
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open => f.write_str("`(`"),
            Self::Close => f.write_str("`)`"),
            Self::And => f.write_str("`and`"),
            Self::Or => f.write_str("`or`"),
            Self::Not => f.write_str("`not`"),
            Self::Tag(tag) => write!(f, "tag {tag:?}"),
        }
    }
}

/// A text that no tag expression can name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "{0:?} is no tag (hint: write a word of letters, digits or ._:@+-/, or key=value such as \
     rack=r1; `and`, `or` and `not` are taken)"
)]
pub struct TagError(String);

/// Whether a tag expression can name `tag`.
///
/// # Errors
/// [`TagError`] with the text.
pub fn check_tag(tag: &str) -> Result<(), TagError> {
    let taken = ["and", "or", "not"].contains(&tag);
    let fits = !tag.is_empty() && tag.len() <= NAME_LENGTH_MAX && tag.chars().all(in_tag);
    if fits && !taken { Ok(()) } else { Err(TagError(tag.chars().take(NAME_LENGTH_MAX).collect())) }
}

/// Whether `c` may be in a tag.
pub(crate) fn in_tag(c: char) -> bool {
    c.is_alphanumeric() || "._:@+-/=".contains(c)
}

/// Tokens with their columns.
fn tokens(text: &str) -> Result<Vec<(usize, Token)>, Fault> {
    let mut found = Vec::new();
    let mut rest = text.chars().zip(1..).peekable();
    while let Some((c, column)) = rest.next() {
        match c {
            '(' => found.push((column, Token::Open)),
            ')' => found.push((column, Token::Close)),
            c if c.is_whitespace() => {}
            c if in_tag(c) => {
                let mut word = String::from(c);
                while let Some((next, _)) = rest.next_if(|(next, _)| in_tag(*next)) {
                    word.push(next);
                }
                let token = match word.as_str() {
                    "and" => Token::And,
                    "or" => Token::Or,
                    "not" => Token::Not,
                    _ => Token::Tag(word),
                };
                found.push((column, token));
            }
            other => return Err((column, format!("{other:?} cannot be in a tag"))),
        }
    }
    Ok(found)
}

struct Parser<'a> {
    tokens: &'a [(usize, Token)],
    at: usize,
    /// The column after the last.
    end: usize,
    depth: u32,
}

impl Parser<'_> {
    fn next_is(&mut self, token: &Token) -> bool {
        let is = self.tokens.get(self.at).is_some_and(|(_, next)| next == token);
        self.at += usize::from(is);
        is
    }

    fn any(&mut self) -> Result<Tree, Fault> {
        let mut tree = self.all()?;
        while self.next_is(&Token::Or) {
            tree = Tree::Or(Box::new(tree), Box::new(self.all()?));
        }
        Ok(tree)
    }

    fn all(&mut self) -> Result<Tree, Fault> {
        let mut tree = self.one()?;
        while self.next_is(&Token::And) {
            tree = Tree::And(Box::new(tree), Box::new(self.one()?));
        }
        Ok(tree)
    }

    fn one(&mut self) -> Result<Tree, Fault> {
        let Some((column, token)) = self.tokens.get(self.at) else {
            return Err((self.end, "a tag is missing at the end".to_owned()));
        };
        self.at += 1;
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err((*column, format!("is nested deeper than {DEPTH_MAX}")));
        }
        let tree = match token {
            Token::Tag(tag) => Tree::Tag(tag.clone()),
            Token::Not => Tree::Not(Box::new(self.one()?)),
            Token::Open => {
                let inner = self.any()?;
                if !self.next_is(&Token::Close) {
                    return Err((*column, "this `(` is never closed".to_owned()));
                }
                inner
            }
            other => return Err((*column, format!("a tag is expected, not {other}"))),
        };
        self.depth -= 1;
        Ok(tree)
    }

    fn finish(&self) -> Result<(), Fault> {
        match self.tokens.get(self.at) {
            None => Ok(()),
            Some((column, token)) => {
                Err((*column, format!("`and` or `or` is expected, not {token}")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn among(text: &str) -> Vec<usize> {
        let carriers =
            BTreeMap::from([("db", vec![0, 1, 2]), ("test", vec![2, 3]), ("rack=r1", vec![0, 3])]);
        text.parse::<Tagged>().unwrap().among(&carriers, 5)
    }

    #[test]
    fn words_mean_who_carries_them() {
        assert_eq!(among("db"), [0, 1, 2]);
        assert_eq!(among("db and not test"), [0, 1]);
        assert_eq!(among("not db"), [3, 4]);
        assert_eq!(among("rack=r1 or test and db"), [0, 2, 3]);
        assert_eq!(among("(rack=r1 or test) and db"), [0, 2]);
        assert_eq!(among("not not db"), [0, 1, 2]);
        assert_eq!(among("nobody"), [0; 0]);
    }

    #[test]
    fn faults_have_a_column_and_a_hint() {
        let deep = format!("{}a{}", "(".repeat(100), ")".repeat(100));
        let long = "a or ".repeat(1000);
        let cases = [
            ("", 1, "missing"),
            ("   ", 4, "missing"),
            ("db and", 7, "missing"),
            ("db test", 4, "`and` or `or`"),
            ("(db or test", 1, "never closed"),
            ("db)", 3, "`)`"),
            ("and db", 1, "not `and`"),
            ("dä and \"x\"", 8, "cannot be in a tag"),
            ("db && test", 4, "cannot be in a tag"),
            (deep.as_str(), 65, "deeper than 64"),
            (long.as_str(), 1, "4096"),
        ];
        for (text, column, fault) in cases {
            let error = text.parse::<Tagged>().unwrap_err();
            assert_eq!(error.column, column, "{error}");
            let said = error.to_string();
            assert!(said.contains(fault) && said.contains("(hint: "), "{said}");
        }
    }

    #[test]
    fn the_text_comes_back() {
        let tagged: Tagged = serde_json::from_str("\"db and  not test\"").unwrap();
        assert_eq!(serde_json::to_string(&tagged).unwrap(), "\"db and  not test\"");
    }
}
