//! From our tree to the one that the engine evaluates. This file and `facts.rs` are all that knows the engine.
//!
//! A fact is bound under a number, so that reading one is no look-up by name; whether an optional one is there is bound under a
//! number of its own.

use crate::ast::{Binary, Item, Kind, Literal, Node, Unary};
use crate::path::{self, Target};
use crate::schema::Schema;
use cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedEntryExpr, IdedExpr, ListExpr, LiteralValue, MapEntryExpr,
    MapExpr, SelectExpr, StructExpr, StructFieldExpr, operators,
};

/// The engine's tree of a checked expression.
pub(crate) fn lower(node: &Node, schema: &Schema) -> IdedExpr {
    Lower { schema: Some(schema), scope: Vec::new(), next: 0 }.node(node)
}

/// The engine's tree of an expression as it stands, with every name left to the engine.
pub(crate) fn lower_unchecked(node: &Node) -> IdedExpr {
    Lower { schema: None, scope: Vec::new(), next: 0 }.node(node)
}

/// What a variable that stands for a fact begins with; no name of the language does.
pub(crate) const SLOT: char = '#';

const RESULT: &str = "@result";

struct Lower<'a> {
    schema: Option<&'a Schema>,
    scope: Vec<String>,
    next: u64,
}

impl Lower<'_> {
    fn id(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn expr(&mut self, expr: Expr) -> IdedExpr {
        IdedExpr { id: self.id(), expr }
    }

    fn name(&mut self, name: &str) -> IdedExpr {
        self.expr(Expr::Ident(name.to_owned()))
    }

    /// A fact, or behind a `?` whether it is there, by its number.
    fn slot(&mut self, schema: &Schema, name: &str) -> IdedExpr {
        match schema.slots().of(name) {
            Some(number) => self.name(&format!("{SLOT}{number}")),
            None => self.name(name),
        }
    }

    fn call(&mut self, name: &str, args: Vec<IdedExpr>) -> IdedExpr {
        self.expr(Expr::Call(CallExpr { func_name: name.to_owned(), target: None, args }))
    }

    fn bool(&mut self, value: bool) -> IdedExpr {
        self.expr(Expr::Literal(LiteralValue::Boolean(value.into())))
    }

    fn int(&mut self, value: i64) -> IdedExpr {
        self.expr(Expr::Literal(LiteralValue::Int(value.into())))
    }

    fn node(&mut self, node: &Node) -> IdedExpr {
        if let Some(fact) = self.fact(node) {
            return fact;
        }
        match &node.kind {
            Kind::Literal(literal) => self.literal(literal),
            Kind::Name(name) => self.name(name),
            Kind::Select { operand, field, optional: false } => self.select(operand, field, false),
            Kind::Select { operand, field, optional: true } => {
                let operand = self.node(operand);
                let field = self.expr(Expr::Literal(LiteralValue::String(field.clone().into())));
                self.call(operators::OPT_SELECT, vec![operand, field])
            }
            Kind::Index { operand, index, optional } => {
                let args = vec![self.node(operand), self.node(index)];
                self.call(if *optional { operators::OPT_INDEX } else { operators::INDEX }, args)
            }
            Kind::Call { target, name, args } => {
                if let Some(presence) = node.presence().and_then(|asked| self.presence(asked)) {
                    return presence;
                }
                if let Some(comprehension) = self.comprehension(node) {
                    return comprehension;
                }
                let target = target.as_ref().map(|target| Box::new(self.node(target)));
                let args = args.iter().map(|arg| self.node(arg)).collect();
                self.expr(Expr::Call(CallExpr { func_name: name.clone(), target, args }))
            }
            Kind::List(items) => {
                let optional_indices =
                    items.iter().enumerate().filter(|(_, item)| item.optional).map(|(at, _)| at).collect();
                let elements = items.iter().map(|item| self.node(&item.value)).collect();
                self.expr(Expr::List(ListExpr { elements, optional_indices }))
            }
            Kind::Map(items) => {
                let entries = items.iter().filter_map(|item| self.entry(item)).collect();
                self.expr(Expr::Map(MapExpr { entries }))
            }
            Kind::Message { name, fields } => {
                let entries = fields.iter().filter_map(|item| self.field(item)).collect();
                self.expr(Expr::Struct(StructExpr { type_name: name.clone(), entries }))
            }
            Kind::Unary { op, operand } => {
                let operand = self.node(operand);
                let name = match op {
                    Unary::Not => operators::LOGICAL_NOT,
                    Unary::Negate => operators::NEGATE,
                };
                self.call(name, vec![operand])
            }
            Kind::Binary { op, left, right } => {
                let args = vec![self.node(left), self.node(right)];
                self.call(operator(*op), args)
            }
            Kind::All(operands) => self.run(operators::LOGICAL_AND, operands),
            Kind::Any(operands) => self.run(operators::LOGICAL_OR, operands),
            Kind::Choose { condition, yes, no } => {
                let args = vec![self.node(condition), self.node(yes), self.node(no)];
                self.call(operators::CONDITIONAL, args)
            }
        }
    }

    fn local(&self, node: &Node) -> bool {
        path::root(node).is_some_and(|root| self.scope.iter().any(|known| known == root))
    }

    /// A fact under its whole path, if the chain names one.
    fn fact(&mut self, node: &Node) -> Option<IdedExpr> {
        let schema = self.schema.filter(|_| !self.local(node))?;
        let path = path::resolve(node, schema)?.ok()?;
        match path.target {
            Target::Value(_) => Some(self.slot(schema, &path.text)),
            Target::Entry { map, key, .. } => {
                let map = self.slot(schema, &map);
                let key = self.expr(Expr::Literal(LiteralValue::String(key.into())));
                Some(self.call(operators::INDEX, vec![map, key]))
            }
            Target::Group(_) => None,
        }
    }

    /// Whether a fact, or a member of another value, is there.
    fn presence(&mut self, asked: &Node) -> Option<IdedExpr> {
        let schema = self.schema.filter(|_| !self.local(asked));
        let path = schema.and_then(|schema| path::resolve(asked, schema)).and_then(Result::ok);
        let (Some(schema), Some(path)) = (schema, path) else {
            let Kind::Select { operand, field, .. } = &asked.kind else { return None };
            return Some(self.select(operand, field, true));
        };
        let mut optional = path.optional;
        let entry = match path.target {
            Target::Entry { map, key, .. } => {
                optional.pop();
                let map = self.slot(schema, &map);
                let key = self.expr(Expr::Literal(LiteralValue::String(key.into())));
                Some(self.call(operators::IN, vec![key, map]))
            }
            Target::Value(_) | Target::Group(_) => None,
        };
        let mut asked: Vec<IdedExpr> = optional.iter().map(|path| self.slot(schema, &format!("?{path}"))).collect();
        asked.extend(entry);
        Some(if asked.is_empty() { self.bool(true) } else { self.balanced(operators::LOGICAL_AND, asked) })
    }

    fn select(&mut self, operand: &Node, field: &str, test: bool) -> IdedExpr {
        let operand = Box::new(self.node(operand));
        self.expr(Expr::Select(SelectExpr { operand, field: field.to_owned(), test }))
    }

    fn literal(&mut self, literal: &Literal) -> IdedExpr {
        let value = match literal {
            Literal::Null => LiteralValue::Null,
            Literal::Bool(value) => LiteralValue::Boolean((*value).into()),
            Literal::Int(value) => LiteralValue::Int((*value).into()),
            Literal::UInt(value) => LiteralValue::UInt((*value).into()),
            Literal::Double(value) => LiteralValue::Double((*value).into()),
            Literal::Text(value) => LiteralValue::String(value.clone().into()),
            Literal::Bytes(value) => LiteralValue::Bytes(value.clone().into()),
        };
        self.expr(Expr::Literal(value))
    }

    fn entry(&mut self, item: &Item) -> Option<IdedEntryExpr> {
        let (key, value) = (self.node(item.key.as_ref()?), self.node(&item.value));
        let expr = EntryExpr::MapEntry(MapEntryExpr { key, value, optional: item.optional });
        Some(IdedEntryExpr { id: self.id(), expr })
    }

    fn field(&mut self, item: &Item) -> Option<IdedEntryExpr> {
        let Kind::Literal(Literal::Text(field)) = &item.key.as_ref()?.kind else { return None };
        let value = self.node(&item.value);
        let expr = EntryExpr::StructField(StructFieldExpr { field: field.clone(), value, optional: item.optional });
        Some(IdedEntryExpr { id: self.id(), expr })
    }

    fn run(&mut self, name: &str, operands: &[Node]) -> IdedExpr {
        let operands = operands.iter().map(|operand| self.node(operand)).collect();
        self.balanced(name, operands)
    }

    /// A balanced tree over the operands, whose order it keeps.
    fn balanced(&mut self, name: &str, mut operands: Vec<IdedExpr>) -> IdedExpr {
        while operands.len() > 1 {
            let mut pairs = Vec::with_capacity(operands.len().div_ceil(2));
            let mut rest = operands.into_iter();
            while let Some(left) = rest.next() {
                pairs.push(match rest.next() {
                    Some(right) => self.call(name, vec![left, right]),
                    None => left,
                });
            }
            operands = pairs;
        }
        operands.pop().unwrap_or_default()
    }

    /// The macros of the standard library, as the specification expands them.
    fn comprehension(&mut self, node: &Node) -> Option<IdedExpr> {
        let written = node.comprehension()?;
        let iter_range = self.node(written.range);
        self.scope.push(written.variable.to_owned());
        let filter = written.filter.map(|filter| self.node(filter));
        let step = self.node(written.step);
        self.scope.pop();
        let result = self.name(RESULT);
        let (accu_init, loop_cond, loop_step, end) = match written.name {
            "all" | "exists" => {
                let all = written.name == "all";
                let mut goes_on = self.name(RESULT);
                if !all {
                    goes_on = self.call(operators::LOGICAL_NOT, vec![goes_on]);
                }
                let condition = self.call(operators::NOT_STRICTLY_FALSE, vec![goes_on]);
                let name = if all { operators::LOGICAL_AND } else { operators::LOGICAL_OR };
                (self.bool(all), condition, self.call(name, vec![result, step]), self.name(RESULT))
            }
            "exists_one" | "existsOne" => {
                let one = self.int(1);
                let more = self.call(operators::ADD, vec![result, one]);
                let same = self.name(RESULT);
                let count = self.call(operators::CONDITIONAL, vec![step, more, same]);
                let (accu, one) = (self.name(RESULT), self.int(1));
                (self.int(0), self.bool(true), count, self.call(operators::EQUALS, vec![accu, one]))
            }
            _ => {
                let (filter, item) = if written.name == "filter" {
                    let variable = self.name(written.variable);
                    (Some(step), variable)
                } else {
                    (filter, step)
                };
                let item = self.expr(Expr::List(ListExpr::new(vec![item])));
                let longer = self.call(operators::ADD, vec![result, item]);
                let step = match filter {
                    Some(filter) => {
                        let same = self.name(RESULT);
                        self.call(operators::CONDITIONAL, vec![filter, longer, same])
                    }
                    None => longer,
                };
                (self.expr(Expr::List(ListExpr::new(Vec::new()))), self.bool(true), step, self.name(RESULT))
            }
        };
        Some(self.expr(Expr::Comprehension(Box::new(ComprehensionExpr {
            iter_range,
            iter_var: written.variable.to_owned(),
            iter_var2: None,
            accu_var: RESULT.to_owned(),
            accu_init,
            loop_cond,
            loop_step,
            result: end,
        }))))
    }
}

fn operator(op: Binary) -> &'static str {
    match op {
        Binary::Equal => operators::EQUALS,
        Binary::NotEqual => operators::NOT_EQUALS,
        Binary::Less => operators::LESS,
        Binary::LessEqual => operators::LESS_EQUALS,
        Binary::Greater => operators::GREATER,
        Binary::GreaterEqual => operators::GREATER_EQUALS,
        Binary::In => operators::IN,
        Binary::Add => operators::ADD,
        Binary::Subtract => operators::SUBSTRACT,
        Binary::Multiply => operators::MULTIPLY,
        Binary::Divide => operators::DIVIDE,
        Binary::Remainder => operators::MODULO,
    }
}
