//! JSON that people can compare line by line: objects are opened to a depth, lists have one element
//! a line, and what is inside an element stays on its line.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

/// Objects inside each other that are opened.
const OPENED: usize = 3;

/// `value` as such a text.
pub(super) fn text(value: &impl Serialize) -> Result<String, serde_json::Error> {
    let mut bytes = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut bytes, Lines::default()))?;
    // The serialiser writes UTF-8 only.
    Ok(String::from_utf8(bytes).unwrap_or_default())
}

/// Where the writer stands.
#[derive(Default)]
struct Lines {
    /// Containers around it.
    depth: usize,
    /// Depth of the list whose elements stay on their lines.
    list: Option<usize>,
}

impl Lines {
    /// Whether what is directly inside the present container begins a line.
    fn opened(&self) -> bool {
        self.list.map_or(self.depth <= OPENED, |list| self.depth == list)
    }

    fn enter(&mut self, list: bool) {
        self.depth += 1;
        if list && self.list.is_none() && self.depth <= OPENED {
            self.list = Some(self.depth);
        }
    }

    fn leave(&mut self) {
        if self.list == Some(self.depth) {
            self.list = None;
        }
        self.depth = self.depth.saturating_sub(1);
    }

    fn separate<W: ?Sized + Write>(&self, writer: &mut W, first: bool) -> io::Result<()> {
        match (first, self.opened()) {
            (true, true) => writer.write_all(b"\n"),
            (true, false) => Ok(()),
            (false, true) => writer.write_all(b",\n"),
            (false, false) => writer.write_all(b", "),
        }
    }
}

impl Formatter for Lines {
    fn begin_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.enter(true);
        writer.write_all(b"[")
    }

    fn end_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.leave();
        writer.write_all(b"]")
    }

    fn begin_array_value<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.separate(writer, first)
    }

    fn begin_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.enter(false);
        writer.write_all(b"{")
    }

    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.leave();
        writer.write_all(b"}")
    }

    fn begin_object_key<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.separate(writer, first)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn one_element_a_line_and_the_same_value() {
        let value = json!({"a": {"b": {"h1": {"x": [1, 2]}, "h2": {}}}, "list": [{"k": [1]}, []]});
        let text = text(&value).unwrap();
        assert_eq!(
            text.lines().collect::<Vec<_>>(),
            [
                "{",
                r#""a": {"#,
                r#""b": {"#,
                r#""h1": {"x": [1, 2]},"#,
                r#""h2": {}}},"#,
                r#""list": ["#,
                r#"{"k": [1]},"#,
                "[]]}",
            ]
        );
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }
}
