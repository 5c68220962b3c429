//! The tree of an expression. Every node knows its bytes in the source and how deep the tree below it is.

#![expect(clippy::wildcard_enum_match_arm, reason = "a pattern asks for one shape, and every other shape is a no")]

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) depth: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Literal {
    Null,
    Bool(bool),
    Int(i64),
    UInt(u64),
    Double(f64),
    Text(String),
    Bytes(Vec<u8>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unary {
    Not,
    Negate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Binary {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    In,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

/// What every part of a list, map or message literal is behind: `?` makes it optional.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Item {
    pub(crate) optional: bool,
    /// The key of a map; the field of a message is a text literal.
    pub(crate) key: Option<Node>,
    pub(crate) value: Node,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    Literal(Literal),
    /// A name; one that begins with a dot means the outermost scope.
    Name(String),
    Select {
        operand: Box<Node>,
        field: String,
        optional: bool,
    },
    Index {
        operand: Box<Node>,
        index: Box<Node>,
        optional: bool,
    },
    Call {
        target: Option<Box<Node>>,
        name: String,
        args: Vec<Node>,
    },
    List(Vec<Item>),
    Map(Vec<Item>),
    Message {
        name: String,
        fields: Vec<Item>,
    },
    Unary {
        op: Unary,
        operand: Box<Node>,
    },
    Binary {
        op: Binary,
        left: Box<Node>,
        right: Box<Node>,
    },
    /// `&&` over two or more operands.
    All(Vec<Node>),
    /// `||` over two or more operands.
    Any(Vec<Node>),
    Choose {
        condition: Box<Node>,
        yes: Box<Node>,
        no: Box<Node>,
    },
}

impl Binary {
    pub(crate) fn mark(self) -> &'static str {
        match self {
            Binary::Equal => "==",
            Binary::NotEqual => "!=",
            Binary::Less => "<",
            Binary::LessEqual => "<=",
            Binary::Greater => ">",
            Binary::GreaterEqual => ">=",
            Binary::In => "in",
            Binary::Add => "+",
            Binary::Subtract => "-",
            Binary::Multiply => "*",
            Binary::Divide => "/",
            Binary::Remainder => "%",
        }
    }
}

/// A comprehension as it is written: `range.all(x, step)`.
pub(crate) struct Comprehension<'a> {
    pub(crate) range: &'a Node,
    pub(crate) name: &'a str,
    pub(crate) variable: &'a str,
    /// The condition of a three-part `map`.
    pub(crate) filter: Option<&'a Node>,
    pub(crate) step: &'a Node,
}

impl Node {
    /// The comprehension that this call is, if it is one.
    pub(crate) fn comprehension(&self) -> Option<Comprehension<'_>> {
        let Kind::Call { target: Some(range), name, args } = &self.kind else { return None };
        let known = matches!(name.as_str(), "all" | "exists" | "exists_one" | "existsOne" | "map" | "filter");
        let (variable, filter, step) = match args.as_slice() {
            [variable, step] if known => (variable, None, step),
            [variable, filter, step] if name == "map" => (variable, Some(filter), step),
            _ => return None,
        };
        let Kind::Name(variable) = &variable.kind else { return None };
        Some(Comprehension { range, name, variable, filter, step })
    }

    /// What `has(…)` asks for: a member, or a fact of the outermost level.
    pub(crate) fn presence(&self) -> Option<&Node> {
        match &self.kind {
            Kind::Call { target: None, name, args } if name == "has" => match args.as_slice() {
                [asked] if matches!(asked.kind, Kind::Select { optional: false, .. } | Kind::Name(_)) => Some(asked),
                _ => None,
            },
            _ => None,
        }
    }
}
