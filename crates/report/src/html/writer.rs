//! HTML that cannot be broken by what it shows.
//!
//! Tag and attribute names are `&'static str`, and every text and attribute value is escaped on its way in; there is no
//! way to add markup as text. That is all a page of one's own needs, so no template engine is used for it.

use std::fmt::Display;

/// A page as it grows.
#[derive(Debug, Default)]
pub(crate) struct Html {
    out: String,
}

impl Html {
    /// Opens an element.
    pub(crate) fn open(&mut self, tag: &'static str, attributes: &[(&'static str, &dyn Display)]) {
        self.start(tag, attributes);
        self.out.push('>');
    }

    /// Closes an element.
    pub(crate) fn close(&mut self, tag: &'static str) {
        self.out.push_str("</");
        self.out.push_str(tag);
        self.out.push('>');
        // A newline after an inline element would show as a blank, before a comma for example.
        if !matches!(tag, "b" | "code" | "span") {
            self.out.push('\n');
        }
    }

    /// An element without content (SVG shapes).
    pub(crate) fn empty(&mut self, tag: &'static str, attributes: &[(&'static str, &dyn Display)]) {
        self.start(tag, attributes);
        self.out.push_str("/>");
    }

    /// An element with text.
    pub(crate) fn element(&mut self, tag: &'static str, attributes: &[(&'static str, &dyn Display)], text: &str) {
        self.open(tag, attributes);
        self.text(text);
        self.close(tag);
    }

    /// An element of a class with text.
    pub(crate) fn classed(&mut self, tag: &'static str, class: &'static str, text: &str) {
        self.element(tag, &[("class", &class)], text);
    }

    /// Text.
    pub(crate) fn text(&mut self, text: &str) {
        escape(&mut self.out, text);
    }

    /// The page's own style sheet, the one thing that goes in as it is.
    pub(crate) fn style(&mut self, css: &'static str) {
        self.out.push_str("<style>");
        self.out.push_str(css);
        self.out.push_str("</style>\n");
    }

    /// The document type.
    pub(crate) fn doctype(&mut self) {
        self.out.push_str("<!doctype html>\n");
    }

    /// The whole.
    pub(crate) fn finish(self) -> String {
        self.out
    }

    fn start(&mut self, tag: &'static str, attributes: &[(&'static str, &dyn Display)]) {
        self.out.push('<');
        self.out.push_str(tag);
        for (name, value) in attributes {
            self.out.push(' ');
            self.out.push_str(name);
            self.out.push_str("=\"");
            escape(&mut self.out, &value.to_string());
            self.out.push('"');
        }
    }
}

/// The five characters that mean something in text or in a quoted attribute (HTML standard, 13.1.2). Control
/// characters other than tab and newline, which HTML forbids, become U+FFFD.
fn escape(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\t' | '\n' => out.push(c),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_text_nor_attribute_gets_out() {
        let mut h = Html::default();
        h.element("p", &[("title", &"\"><script>")], "</p><script>alert('1')&\u{1b}");
        assert_eq!(
            h.finish(),
            "<p title=\"&quot;&gt;&lt;script&gt;\">&lt;/p&gt;&lt;script&gt;alert(&#39;1&#39;)&amp;\u{fffd}</p>\n"
        );
    }
}
