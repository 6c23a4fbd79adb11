//! The text of a unit, as the package go-systemd reads it: stricter than systemd in some places, laxer in others.

use std::collections::HashSet;

/// One byte more than a line may have.
const LINE_MAX: usize = 2048;

/// The sections that have an option.
pub(super) fn sections(text: &str) -> Result<HashSet<String>, String> {
    let mut lexer = Lexer { rest: text };
    let mut sections = HashSet::new();
    // What is before the first section is skipped, letter by letter.
    let mut section: Option<String> = None;
    while let Some(letter) = lexer.next() {
        match (letter, &section) {
            ('[', _) => section = Some(lexer.section()?),
            ('#' | ';', _) => lexer.skip_comment()?,
            (letter, Some(section)) if !letter.is_whitespace() => {
                lexer.option(letter)?;
                sections.insert(section.clone());
            }
            _ => {}
        }
    }
    Ok(sections)
}

struct Lexer<'a> {
    rest: &'a str,
}

impl<'a> Lexer<'a> {
    fn next(&mut self) -> Option<char> {
        let letter = self.rest.chars().next()?;
        self.rest = &self.rest[letter.len_utf8()..];
        Some(letter)
    }

    /// What is left of the line, without its end.
    fn line(&mut self) -> Result<&'a str, String> {
        let (line, rest) = self.rest.split_once('\n').unwrap_or((self.rest, ""));
        self.rest = rest;
        if line.len() >= LINE_MAX {
            return Err(format!("line too long (max {LINE_MAX} bytes)"));
        }
        Ok(line)
    }

    fn section(&mut self) -> Result<String, String> {
        let (name, rest) = self.rest.split_once(']').ok_or("unable to find end of section")?;
        self.rest = rest;
        let garbage = self.line()?.trim();
        match garbage.is_empty() {
            true => Ok(name.to_owned()),
            false => Err(format!("found garbage after section name {name}: {garbage:?}")),
        }
    }

    fn skip_comment(&mut self) -> Result<(), String> {
        loop {
            let line = self.line()?;
            let line = line.strip_suffix(' ').unwrap_or(line);
            if !line.ends_with('\\') || self.rest.is_empty() {
                return Ok(());
            }
        }
    }

    fn option(&mut self, mut letter: char) -> Result<(), String> {
        while letter != '=' {
            if matches!(letter, '\n' | '\r') {
                return Err("unexpected newline encountered while parsing option name".to_owned());
            }
            letter = self.next().ok_or("EOF")?;
        }
        loop {
            let line = self.line()?;
            if !line.ends_with('\\') || self.rest.is_empty() {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::{LINE_MAX, sections};

    #[test_case("" => Ok(vec![]); "nothing")]
    #[test_case("anything goes\n[Unit]\n" => Ok(vec![]); "before the first section")]
    #[test_case("[Unit]\nA=b\n[Install]\n" => Ok(vec!["Unit"]); "a section without options is none")]
    #[test_case("[A]\n# [B]\\\nc=d\n; e\n" => Ok(vec![]); "comments go on, too")]
    #[test_case("[A]\nb=c\\\n[D]\ne=f\n" => Ok(vec!["A"]); "values go on")]
    #[test_case("[A] \n  b  = c" => Ok(vec!["A"]); "blanks")]
    #[test_case("[A]\nb [c] =d" => Ok(vec!["A"]); "a strange name")]
    #[test_case("[A" => Err("unable to find end of section".to_owned()))]
    #[test_case("[A] b" => Err("found garbage after section name A: \"b\"".to_owned()))]
    #[test_case("[A]\nb\nc=d" => Err("unexpected newline encountered while parsing option name".to_owned()))]
    #[test_case("[A]\nb" => Err("EOF".to_owned()))]
    fn texts(text: &str) -> Result<Vec<&'static str>, String> {
        let known = ["A", "Install", "Unit"];
        sections(text).map(|found| known.into_iter().filter(|&name| found.contains(name)).collect())
    }

    #[test]
    fn a_line_has_its_limit() {
        let line = |length| format!("[A]\nb={}\n", "x".repeat(length));
        assert!(sections(&line(LINE_MAX - 1)).is_ok());
        assert!(sections(&line(LINE_MAX)).is_err());
    }
}
