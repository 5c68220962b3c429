//! From tokens to a tree. Recursion is bounded by the limit on nesting; chains are read in a loop.

#![expect(clippy::wildcard_enum_match_arm, reason = "a pattern asks for one shape, and every other shape is a no")]

use crate::ast::{Binary, Item, Kind, Literal, Node, Unary};
use crate::token::{Spanned, Token, tokens};
use crate::{ExprProblem, Limits};

const RESERVED: [&str; 20] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "false",
    "for",
    "function",
    "if",
    "import",
    "in",
    "let",
    "loop",
    "namespace",
    "null",
    "package",
    "return",
    "true",
    "var",
    "void",
];

/// The tree of a source that keeps within the limits.
pub(crate) fn parse(source: &str, limits: &Limits) -> Result<Node, ExprProblem> {
    if source.len() > limits.source {
        let message = format!("this expression has {} bytes, and at most {} are read", source.len(), limits.source);
        return Err(ExprProblem::new(0, 1, message));
    }
    let mut parser = Parser { tokens: tokens(source)?, at: 0, nesting: 0, limits };
    let node = parser.expression()?;
    match parser.peek() {
        Token::End => Ok(node),
        _ => Err(parser.unexpected("an operator or the end")),
    }
}

struct Parser<'a> {
    tokens: Vec<Spanned>,
    at: usize,
    nesting: usize,
    limits: &'a Limits,
}

impl Parser<'_> {
    fn peek(&self) -> &Token {
        self.tokens.get(self.at).map_or(&Token::End, |spanned| &spanned.token)
    }

    fn is(&self, mark: &str) -> bool {
        matches!(self.peek(), Token::Mark(found) if *found == mark)
    }

    fn take(&mut self, mark: &str) -> bool {
        let found = self.is(mark);
        self.at += usize::from(found);
        found
    }

    fn need(&mut self, mark: &str) -> Result<usize, ExprProblem> {
        let end = self.tokens.get(self.at).map_or(0, |spanned| spanned.end);
        if self.take(mark) { Ok(end) } else { Err(self.unexpected(&format!("`{mark}`"))) }
    }

    fn start(&self) -> usize {
        self.tokens.get(self.at).or(self.tokens.last()).map_or(0, |spanned| spanned.start)
    }

    /// The end of the token before.
    fn end(&self) -> usize {
        self.at.checked_sub(1).and_then(|at| self.tokens.get(at)).map_or(0, |spanned| spanned.end)
    }

    fn unexpected(&self, wanted: &str) -> ExprProblem {
        let found = match self.peek() {
            Token::Name(name) | Token::Quoted(name) => format!("`{name}`"),
            Token::Int(number) | Token::UInt(number) => format!("`{number}`"),
            Token::Double(number) => format!("`{number}`"),
            Token::Text(_) | Token::Bytes(_) => "a text".to_owned(),
            Token::Mark(mark) => format!("`{mark}`"),
            Token::End => "the end".to_owned(),
        };
        let end = self.tokens.get(self.at).map_or(0, |spanned| spanned.end);
        let problem = ExprProblem::new(self.start(), end, format!("expected {wanted}, found {found}"));
        match self.peek() {
            Token::Mark("=") => problem.hint("write == to compare"),
            Token::Mark("&") => problem.hint("write && for and"),
            Token::Mark("|") => problem.hint("write || for or"),
            Token::Name(word) if word == "and" => problem.hint("write && for and"),
            Token::Name(word) if word == "or" => problem.hint("write || for or"),
            _ => problem,
        }
    }

    fn node(&self, kind: Kind, start: usize, below: usize) -> Result<Node, ExprProblem> {
        let depth = below + 1;
        if depth > self.limits.chain {
            let message = format!("this chain is longer than {} operators or members", self.limits.chain);
            return Err(ExprProblem::new(start, self.end(), message).hint("split the expression"));
        }
        Ok(Node { kind, start, end: self.end(), depth })
    }

    /// Runs `inner` one level deeper.
    fn deeper<T>(&mut self, inner: impl FnOnce(&mut Self) -> Result<T, ExprProblem>) -> Result<T, ExprProblem> {
        if self.nesting >= self.limits.nesting {
            let message =
                format!("brackets, conditions and signs are nested more than {} deep here", self.limits.nesting);
            return Err(ExprProblem::new(self.start(), self.start() + 1, message));
        }
        self.nesting += 1;
        let result = inner(self);
        self.nesting -= 1;
        result
    }

    fn expression(&mut self) -> Result<Node, ExprProblem> {
        let start = self.start();
        let condition = self.run("||", Kind::Any, |parser| parser.run("&&", Kind::All, Self::relation))?;
        if !self.take("?") {
            return Ok(condition);
        }
        let yes =
            self.deeper(|parser| parser.run("||", Kind::Any, |parser| parser.run("&&", Kind::All, Self::relation)))?;
        self.need(":")?;
        let no = self.deeper(Self::expression)?;
        let below = condition.depth.max(yes.depth).max(no.depth);
        self.node(Kind::Choose { condition: Box::new(condition), yes: Box::new(yes), no: Box::new(no) }, start, below)
    }

    /// Operands with one associative mark between them, as one flat node.
    fn run(
        &mut self,
        mark: &str,
        make: fn(Vec<Node>) -> Kind,
        operand: impl Fn(&mut Self) -> Result<Node, ExprProblem>,
    ) -> Result<Node, ExprProblem> {
        let start = self.start();
        let first = operand(self)?;
        if !self.is(mark) {
            return Ok(first);
        }
        let mut operands = vec![first];
        while self.take(mark) {
            operands.push(operand(self)?);
            self.fits(operands.len(), start)?;
        }
        // The tree that is evaluated is balanced, so a run of n adds log2(n) levels.
        let levels = operands.len().next_power_of_two().trailing_zeros() as usize;
        let below = operands.iter().map(|operand| operand.depth).max().unwrap_or(0) + levels;
        self.node(make(operands), start, below)
    }

    fn fits(&self, items: usize, start: usize) -> Result<(), ExprProblem> {
        if items > self.limits.items {
            let message = format!("more than {} items stand here", self.limits.items);
            return Err(ExprProblem::new(start, self.end(), message));
        }
        Ok(())
    }

    fn relation(&mut self) -> Result<Node, ExprProblem> {
        self.chain(Self::sum, |token| match token {
            Token::Mark("==") => Some(Binary::Equal),
            Token::Mark("!=") => Some(Binary::NotEqual),
            Token::Mark("<") => Some(Binary::Less),
            Token::Mark("<=") => Some(Binary::LessEqual),
            Token::Mark(">") => Some(Binary::Greater),
            Token::Mark(">=") => Some(Binary::GreaterEqual),
            Token::Name(word) if word == "in" => Some(Binary::In),
            _ => None,
        })
    }

    fn sum(&mut self) -> Result<Node, ExprProblem> {
        self.chain(Self::product, |token| match token {
            Token::Mark("+") => Some(Binary::Add),
            Token::Mark("-") => Some(Binary::Subtract),
            _ => None,
        })
    }

    fn product(&mut self) -> Result<Node, ExprProblem> {
        self.chain(Self::unary, |token| match token {
            Token::Mark("*") => Some(Binary::Multiply),
            Token::Mark("/") => Some(Binary::Divide),
            Token::Mark("%") => Some(Binary::Remainder),
            _ => None,
        })
    }

    fn chain(
        &mut self,
        operand: impl Fn(&mut Self) -> Result<Node, ExprProblem>,
        operator: impl Fn(&Token) -> Option<Binary>,
    ) -> Result<Node, ExprProblem> {
        let start = self.start();
        let mut left = operand(self)?;
        while let Some(op) = operator(self.peek()) {
            self.at += 1;
            let right = operand(self)?;
            let below = left.depth.max(right.depth);
            left = self.node(Kind::Binary { op, left: Box::new(left), right: Box::new(right) }, start, below)?;
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Node, ExprProblem> {
        let start = self.start();
        for (mark, op) in [("!", Unary::Not), ("-", Unary::Negate)] {
            if !self.take(mark) {
                continue;
            }
            let number = match self.peek() {
                Token::Int(digits) => 0_i64.checked_sub_unsigned(*digits).map(Literal::Int),
                Token::Double(value) => Some(Literal::Double(-value)),
                _ => None,
            };
            if let (Unary::Negate, Some(literal)) = (op, number) {
                self.at += 1;
                let literal = self.node(Kind::Literal(literal), start, 0)?;
                return self.members(literal, start);
            }
            let operand = self.deeper(Self::unary)?;
            let below = operand.depth;
            return self.node(Kind::Unary { op, operand: Box::new(operand) }, start, below);
        }
        let primary = self.primary()?;
        self.members(primary, start)
    }

    /// Members, indexes and calls behind a primary.
    fn members(&mut self, mut node: Node, start: usize) -> Result<Node, ExprProblem> {
        loop {
            if self.take(".") {
                let optional = self.take("?");
                let (field, called) = match self.peek().clone() {
                    Token::Name(name) => (name, true),
                    Token::Quoted(name) => (name, false),
                    _ => return Err(self.unexpected("a member's name")),
                };
                if RESERVED.contains(&field.as_str())
                    && called
                    && matches!(field.as_str(), "in" | "true" | "false" | "null")
                {
                    return Err(self.unexpected("a member's name"));
                }
                self.at += 1;
                let below = node.depth;
                if called && !optional && self.take("(") {
                    let args = self.arguments(start)?;
                    let below = args.iter().map(|arg| arg.depth).fold(below, usize::max);
                    node = self.node(Kind::Call { target: Some(Box::new(node)), name: field, args }, start, below)?;
                } else {
                    node = self.node(Kind::Select { operand: Box::new(node), field, optional }, start, below)?;
                }
            } else if self.take("[") {
                let optional = self.take("?");
                let index = self.deeper(Self::expression)?;
                self.need("]")?;
                let below = node.depth.max(index.depth);
                node =
                    self.node(Kind::Index { operand: Box::new(node), index: Box::new(index), optional }, start, below)?;
            } else if self.is("{")
                && let Some(name) = type_name(&node)
            {
                self.at += 1;
                let fields = self.items("}", true, true)?;
                let below = fields.iter().map(|item| item.value.depth).max().unwrap_or(0);
                node = self.node(Kind::Message { name, fields }, start, below)?;
            } else {
                return Ok(node);
            }
        }
    }

    fn primary(&mut self) -> Result<Node, ExprProblem> {
        let start = self.start();
        let token = self.peek().clone();
        self.at += 1;
        let literal = match token {
            Token::Int(digits) => match i64::try_from(digits) {
                Ok(number) => Literal::Int(number),
                Err(_) => return Err(ExprProblem::new(start, self.end(), "this number is out of range")),
            },
            Token::UInt(number) => Literal::UInt(number),
            Token::Double(number) => Literal::Double(number),
            Token::Text(text) => Literal::Text(text),
            Token::Bytes(bytes) => Literal::Bytes(bytes),
            Token::Name(name) => match name.as_str() {
                "true" => Literal::Bool(true),
                "false" => Literal::Bool(false),
                "null" => Literal::Null,
                _ => return self.name(name, start),
            },
            Token::Mark("(") => {
                let mut inner = self.deeper(Self::expression)?;
                self.need(")")?;
                (inner.start, inner.end) = (start, self.end());
                return Ok(inner);
            }
            Token::Mark("[") => {
                let items = self.items("]", false, false)?;
                let below = items.iter().map(|item| item.value.depth).max().unwrap_or(0);
                return self.node(Kind::List(items), start, below);
            }
            Token::Mark("{") => {
                let items = self.items("}", true, false)?;
                let depths =
                    items.iter().map(|item| item.value.depth.max(item.key.as_ref().map_or(0, |key| key.depth)));
                let below = depths.max().unwrap_or(0);
                return self.node(Kind::Map(items), start, below);
            }
            Token::Mark(".") => match self.peek().clone() {
                Token::Name(name) => {
                    self.at += 1;
                    return self.name(format!(".{name}"), start);
                }
                _ => return Err(self.unexpected("a name")),
            },
            Token::Quoted(_) | Token::Mark(_) | Token::End => {
                self.at -= 1;
                return Err(self.unexpected("a value"));
            }
        };
        self.node(Kind::Literal(literal), start, 0)
    }

    fn name(&mut self, name: String, start: usize) -> Result<Node, ExprProblem> {
        if RESERVED.contains(&name.as_str()) {
            return Err(ExprProblem::new(start, self.end(), format!("`{name}` is a reserved word")));
        }
        if !self.take("(") {
            return self.node(Kind::Name(name), start, 0);
        }
        let args = self.arguments(start)?;
        let below = args.iter().map(|arg| arg.depth).max().unwrap_or(0);
        self.node(Kind::Call { target: None, name, args }, start, below)
    }

    fn arguments(&mut self, start: usize) -> Result<Vec<Node>, ExprProblem> {
        self.deeper(|parser| {
            let mut args = Vec::new();
            while !parser.is(")") {
                args.push(parser.expression()?);
                parser.fits(args.len(), start)?;
                if !parser.take(",") {
                    break;
                }
                if parser.is(")") {
                    return Err(parser.unexpected("an argument"));
                }
            }
            parser.need(")")?;
            Ok(args)
        })
    }

    fn items(&mut self, close: &str, keyed: bool, fields: bool) -> Result<Vec<Item>, ExprProblem> {
        let start = self.start();
        self.deeper(|parser| {
            let mut items = Vec::new();
            while !parser.is(close) {
                let optional = parser.take("?");
                let key = match (keyed, fields) {
                    (false, _) => None,
                    (true, false) => Some(parser.expression()?),
                    (true, true) => Some(parser.field()?),
                };
                if keyed {
                    parser.need(":")?;
                }
                items.push(Item { optional, key, value: parser.expression()? });
                parser.fits(items.len(), start)?;
                if !parser.take(",") {
                    break;
                }
            }
            parser.need(close)?;
            Ok(items)
        })
    }

    fn field(&mut self) -> Result<Node, ExprProblem> {
        let start = self.start();
        let (Token::Name(name) | Token::Quoted(name)) = self.peek().clone() else {
            return Err(self.unexpected("a field's name"));
        };
        self.at += 1;
        self.node(Kind::Literal(Literal::Text(name)), start, 0)
    }
}

/// The dotted name that a chain of members spells.
fn type_name(node: &Node) -> Option<String> {
    let mut parts = Vec::new();
    let mut node = node;
    loop {
        match &node.kind {
            Kind::Name(name) => {
                parts.push(name.as_str());
                parts.reverse();
                return Some(parts.join("."));
            }
            Kind::Select { operand, field, optional: false } => {
                parts.push(field);
                node = operand;
            }
            _ => return None,
        }
    }
}
