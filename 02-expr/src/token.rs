//! From source to tokens.

use crate::ExprProblem;

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Token {
    Name(String),
    /// A name in backticks, which only a member may have.
    Quoted(String),
    /// The digits' value; a sign before it is a token of its own, so it may be one more than fits.
    Int(u64),
    UInt(u64),
    Double(f64),
    Text(String),
    Bytes(Vec<u8>),
    Mark(&'static str),
    End,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Spanned {
    pub(crate) token: Token,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// Longest first, so that `<=` is not read as `<`.
const MARKS: [&str; 27] = [
    "&&", "||", "==", "!=", "<=", ">=", "(", ")", "[", "]", "{", "}", ".", ",", "-", "+", "*", "/", "%", "?", ":", "!",
    "<", ">", "=", "&", "|",
];

/// All tokens of the source, the end among them.
pub(crate) fn tokens(source: &str) -> Result<Vec<Spanned>, ExprProblem> {
    let mut lexer = Lexer { source, at: 0 };
    let mut all = Vec::new();
    loop {
        lexer.blanks();
        let start = lexer.at;
        let token = lexer.next()?;
        let last = token == Token::End;
        all.push(Spanned { token, start, end: lexer.at });
        if last {
            return Ok(all);
        }
    }
}

struct Lexer<'a> {
    source: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.source[self.at..]
    }

    fn blanks(&mut self) {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start_matches([' ', '\t', '\n', '\r', '\u{c}']);
            let comment = if trimmed.starts_with("//") { trimmed.find('\n').unwrap_or(trimmed.len()) } else { 0 };
            self.at += rest.len() - trimmed.len() + comment;
            if comment == 0 {
                return;
            }
        }
    }

    fn next(&mut self) -> Result<Token, ExprProblem> {
        let rest = self.rest();
        let Some(first) = rest.chars().next() else { return Ok(Token::End) };
        if let Some(length) = prefix_of_text(rest) {
            return self.quoted(length);
        }
        if first.is_ascii_alphabetic() || first == '_' {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
            let name = rest[..end].to_owned();
            self.at += end;
            return Ok(Token::Name(name));
        }
        let point = first == '.' && rest[1..].starts_with(|c: char| c.is_ascii_digit());
        if first.is_ascii_digit() || point {
            return self.number();
        }
        if first == '`' {
            let end = rest[1..].find('`').map(|end| end + 1);
            let name = end.map(|end| rest[1..end].to_owned());
            let sound = |name: &String| {
                !name.is_empty()
                    && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | '/' | ' '))
            };
            return match name.filter(sound) {
                Some(name) => {
                    self.at += name.len() + 2;
                    Ok(Token::Quoted(name))
                }
                None => Err(ExprProblem::new(self.at, self.at + 1, "this is not a name in backticks")),
            };
        }
        match MARKS.iter().find(|mark| rest.starts_with(**mark)) {
            Some(mark) => {
                self.at += mark.len();
                Ok(Token::Mark(mark))
            }
            None => {
                let end = self.at + first.len_utf8();
                Err(ExprProblem::new(
                    self.at,
                    end,
                    format!("the character `{}` means nothing here", first.escape_default()),
                ))
            }
        }
    }

    fn number(&mut self) -> Result<Token, ExprProblem> {
        let (start, rest) = (self.at, self.rest());
        let problem = |end: usize, what: &str| ExprProblem::new(start, start + end, what.to_owned());
        if let Some(hex) = rest.strip_prefix("0x").or_else(|| rest.strip_prefix("0X")) {
            let end = hex.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(hex.len());
            let value =
                u64::from_str_radix(&hex[..end], 16).map_err(|_| problem(end + 2, "this number is out of range"))?;
            self.at += end + 2;
            return Ok(self.unsigned_or(value));
        }
        let bytes = rest.as_bytes();
        let digits = |mut at: usize| {
            while bytes.get(at).is_some_and(u8::is_ascii_digit) {
                at += 1;
            }
            at
        };
        let whole = digits(0);
        let mut end = whole;
        if bytes.get(end) == Some(&b'.') && bytes.get(end + 1).is_some_and(u8::is_ascii_digit) {
            end = digits(end + 1);
        }
        if matches!(bytes.get(end), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(bytes.get(end + 1), Some(b'-' | b'+')));
            let exponent = digits(end + 1 + sign);
            if exponent > end + 1 + sign {
                end = exponent;
            }
        }
        self.at += end;
        if end > whole {
            let value: f64 = rest[..end].parse().map_err(|_| problem(end, "this is not a number"))?;
            return Ok(Token::Double(value));
        }
        let value = rest[..end].parse().map_err(|_| problem(end, "this number is out of range"))?;
        Ok(self.unsigned_or(value))
    }

    fn unsigned_or(&mut self, value: u64) -> Token {
        if self.rest().starts_with(['u', 'U']) {
            self.at += 1;
            return Token::UInt(value);
        }
        Token::Int(value)
    }

    /// A text or bytes whose letters before the quote are `prefix` long.
    fn quoted(&mut self, prefix: usize) -> Result<Token, ExprProblem> {
        let start = self.at;
        let letters = self.rest()[..prefix].to_ascii_lowercase();
        let (raw, bytes) = (letters.contains('r'), letters.contains('b'));
        self.at += prefix;
        let rest = self.rest();
        let quote = if rest.starts_with('\'') { "'" } else { "\"" };
        let triple = quote.repeat(3);
        let close = if rest.starts_with(&triple) { triple } else { quote.to_owned() };
        self.at += close.len();
        let open =
            || ExprProblem::new(start, start + 1, "this text is not closed").hint(format!("end it with {close}"));
        let mut out: Vec<u8> = Vec::new();
        loop {
            let rest = self.rest();
            if rest.starts_with(&close) {
                self.at += close.len();
                break;
            }
            let Some(c) = rest.chars().next() else { return Err(open()) };
            if close.len() == 1 && matches!(c, '\n' | '\r') {
                return Err(open());
            }
            if c == '\\' && !raw {
                self.escape(bytes, &mut out)?;
            } else {
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                self.at += c.len_utf8();
            }
        }
        if bytes {
            return Ok(Token::Bytes(out));
        }
        String::from_utf8(out).map(Token::Text).map_err(|_| ExprProblem::new(start, self.at, "this text is not UTF-8"))
    }

    fn escape(&mut self, bytes: bool, out: &mut Vec<u8>) -> Result<(), ExprProblem> {
        let start = self.at;
        let rest = &self.source[start + 1..];
        let bad = || ExprProblem::new(start, start + 2, "this escape is not known").hint("write \\\\ for a backslash");
        let letter = rest.chars().next().ok_or_else(bad)?;
        let simple = match letter {
            'a' => Some(7),
            'b' => Some(8),
            'f' => Some(12),
            'n' => Some(b'\n'),
            'r' => Some(b'\r'),
            't' => Some(b'\t'),
            'v' => Some(11),
            '\\' | '\'' | '"' | '`' | '?' => u8::try_from(letter).ok(),
            _ => None,
        };
        if let Some(byte) = simple {
            out.push(byte);
            self.at += 2;
            return Ok(());
        }
        let (skip, length, radix) = match letter {
            'x' | 'X' => (1, 2, 16),
            'u' if !bytes => (1, 4, 16),
            'U' if !bytes => (1, 8, 16),
            '0'..='3' => (0, 3, 8),
            _ => return Err(bad()),
        };
        let digits =
            rest.get(skip..skip + length).filter(|text| text.chars().all(|c| c.is_digit(radix))).ok_or_else(bad)?;
        let code = u32::from_str_radix(digits, radix).map_err(|_| bad())?;
        if bytes {
            out.push(u8::try_from(code).map_err(|_| bad())?);
        } else {
            let c = char::from_u32(code).ok_or_else(bad)?;
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
        self.at += 1 + skip + length;
        Ok(())
    }
}

/// How many letters stand before a quote, if a text begins here.
fn prefix_of_text(rest: &str) -> Option<usize> {
    let letters = rest.bytes().take(2).take_while(|b| matches!(b, b'r' | b'R' | b'b' | b'B')).count();
    let twice = letters == 2 && rest.as_bytes()[0].eq_ignore_ascii_case(&rest.as_bytes()[1]);
    (!twice && rest[letters..].starts_with(['\'', '"'])).then_some(letters)
}
