//! What stands between the parentheses of an attribute: `word`, `word = value` and `word(list)`, split by commas.
//!
//! Reading never stops at the first mistake: what cannot be read is refused, and reading goes on after the comma.

use proc_macro2::{Delimiter, Ident, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{Expr, ExprPath, LitStr, Member, Path, Token, Type};

use crate::errors::Errors;
use crate::suggest;

/// All entries of one attribute.
pub(crate) struct Entries {
    /// The attribute as its author knows it: `#[outgoing(User, ...)]`.
    pub(crate) attribute: String,
    list: Vec<Entry>,
    /// Whether something stands here that could not be read.
    unreadable: bool,
}

/// One entry.
pub(crate) struct Entry {
    pub(crate) word: Ident,
    /// The attribute that it stands in.
    attribute: String,
    value: Value,
}

enum Value {
    Nothing,
    Equals(TokenStream),
    List(TokenStream),
}

impl Entries {
    /// The rest of the attribute's tokens, as entries.
    pub(crate) fn parse(attribute: impl Into<String>, tokens: TokenStream, errors: &mut Errors) -> Self {
        let mut entries = Self { attribute: attribute.into(), list: Vec::new(), unreadable: false };
        for tokens in split_at_commas(tokens) {
            let Ok((word, value)) = parse_entry.parse2(tokens.clone()) else {
                entries.unreadable = true;
                let message = format!(
                    "{} cannot be read here: write a key, `key = value` or `key(...)`",
                    entries.attribute
                );
                errors.refuse(tokens, message);
                continue;
            };
            entries.list.push(Entry { word, attribute: entries.attribute.clone(), value });
        }
        entries
    }

    /// The entries of another attribute of the same kind on the same thing.
    pub(crate) fn append(&mut self, mut other: Self) {
        self.list.append(&mut other.list);
        self.unreadable |= other.unreadable;
    }

    /// The first entry with this word.
    pub(crate) fn get(&self, word: &str) -> Option<&Entry> {
        self.list.iter().find(|entry| entry.is(word))
    }

    /// Whether nothing with this word stands here, nor anything that was probably meant to be it: what is misspelt or
    /// cannot be read is refused already.
    pub(crate) fn lacks(&self, word: &str, known: &[&str]) -> bool {
        let is_meant = |entry: &Entry| {
            let given = entry.word.unraw().to_string();
            given == word
                || (!known.contains(&given.as_str()) && suggest::nearest(&given, known) == Some(word))
        };
        !self.unreadable && !self.list.iter().any(is_meant)
    }

    /// A key that stands twice says two things, and only one of them would be heard.
    pub(crate) fn refuse_repeats(&self, errors: &mut Errors) {
        for (index, entry) in self.list.iter().enumerate() {
            if self.list[..index].iter().any(|earlier| earlier.word == entry.word) {
                errors.refuse(
                    &entry.word,
                    format!("`{}` stands twice in {}: keep one", entry.word, self.attribute),
                );
            }
        }
    }

    /// A key that nobody reads would be a wish that nobody hears. `foreign` knows the keys that belong elsewhere.
    pub(crate) fn refuse_unknown(
        &self,
        known: &[&str],
        foreign: impl Fn(&str) -> Option<String>,
        errors: &mut Errors,
    ) {
        for entry in &self.list {
            let word = entry.word.unraw().to_string();
            if known.contains(&word.as_str()) {
                continue;
            }
            let message = foreign(&word).unwrap_or_else(|| {
                format!("{} has no key `{word}`: {}", self.attribute, suggest::remedy(&word, known))
            });
            errors.refuse(&entry.word, message);
        }
    }

    /// `word = "text"`.
    pub(crate) fn text(&self, word: &str, example: &str, errors: &mut Errors) -> Option<LitStr> {
        let entry = self.get(word)?;
        entry.equals(&format!("takes a text: write `{word} = \"{example}\"`"), errors)
    }

    /// `word = path::to::function`.
    pub(crate) fn function(&self, word: &str, example: &str, errors: &mut Errors) -> Option<ExprPath> {
        let entry = self.get(word)?;
        entry.equals(&format!("takes the path of a function: write `{word} = {example}`"), errors)
    }

    /// `crate = path`.
    pub(crate) fn crate_path(&self, errors: &mut Errors) -> Option<Path> {
        let entry = self.get("crate")?;
        let remedy = "takes the path of `bus_core`: write `crate = its_name_in_cargo_toml`";
        entry.equals_by(Path::parse_mod_style, remedy, errors)
    }

    /// `word`, alone.
    pub(crate) fn flag<'e>(&'e self, word: &str, errors: &mut Errors) -> Option<&'e Entry> {
        let entry = self.get(word)?;
        let (Value::Equals(tokens) | Value::List(tokens)) = &entry.value else {
            return Some(entry);
        };
        entry.refuse_value(tokens, &format!("stands alone: write `{word}`"), errors);
        Some(entry)
    }
}

impl Entry {
    /// Whether this is its word.
    pub(crate) fn is(&self, word: &str) -> bool {
        self.word.unraw() == word
    }

    /// What stands behind `=`.
    pub(crate) fn equals<T: Parse>(&self, remedy: &str, errors: &mut Errors) -> Option<T> {
        self.equals_by(T::parse, remedy, errors)
    }

    /// What stands behind `=`, as a field: `id`, `header.id`, `0.1`.
    pub(crate) fn field(&self, remedy: &str, errors: &mut Errors) -> Option<Vec<Member>> {
        let members = |input: ParseStream<'_>| {
            // As the compiler reads it behind a value: there `0.1` is two fields and no number.
            let field: TokenStream = input.parse()?;
            let mut expression: Expr = syn::parse2(quote!(value.#field))?;
            let mut members = Vec::new();
            while let Expr::Field(field) = expression {
                members.insert(0, field.member);
                expression = *field.base;
            }
            match expression {
                Expr::Path(_) => Ok(members),
                other => Err(syn::Error::new_spanned(other, "not a field")),
            }
        };
        self.equals_by(members, remedy, errors)
    }

    fn equals_by<P: Parser>(&self, parser: P, remedy: &str, errors: &mut Errors) -> Option<P::Output> {
        let tokens = match &self.value {
            Value::Equals(tokens) => tokens,
            Value::Nothing | Value::List(_) => &TokenStream::new(),
        };
        if let Ok(value) = parser.parse2(tokens.clone()) {
            return Some(value);
        }
        self.refuse_value(tokens, remedy, errors);
        None
    }

    /// Refuses what stands behind the word, or the word where nothing does.
    fn refuse_value(&self, tokens: &TokenStream, remedy: &str, errors: &mut Errors) {
        let place: &dyn ToTokens = if tokens.is_empty() { &self.word } else { tokens };
        let word = self.word.unraw();
        errors.refuse(place, format!("`{word}` in {} {remedy}", self.attribute));
    }

    /// What stands in `word(a, b)`.
    pub(crate) fn list<T: Parse>(&self, remedy: &str, errors: &mut Errors) -> Option<Vec<T>> {
        let Value::List(tokens) = &self.value else {
            self.refuse_value(&TokenStream::new(), remedy, errors);
            return None;
        };
        let Ok(list) = Punctuated::<T, Token![,]>::parse_terminated.parse2(tokens.clone()) else {
            self.refuse_value(tokens, remedy, errors);
            return None;
        };
        Some(list.into_iter().collect())
    }

    /// What stands in `word(A, B)`, as types.
    pub(crate) fn types(&self, remedy: &str, errors: &mut Errors) -> Option<Vec<Type>> {
        self.list(remedy, errors)
    }

    /// What stands in `word(a, b)`, as words; Rust's own keywords are words, too.
    pub(crate) fn words(&self, remedy: &str, errors: &mut Errors) -> Option<Vec<Ident>> {
        struct Word(Ident);
        impl Parse for Word {
            fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
                Ident::parse_any(input).map(Self)
            }
        }
        let words: Vec<Word> = self.list(remedy, errors)?;
        Some(words.into_iter().map(|word| word.0).collect())
    }
}

fn parse_entry(input: ParseStream<'_>) -> syn::Result<(Ident, Value)> {
    let word = Ident::parse_any(input)?;
    let value = if input.is_empty() {
        Value::Nothing
    } else if input.peek(Token![=]) {
        input.parse::<Token![=]>()?;
        Value::Equals(input.parse()?)
    } else {
        let tokens;
        syn::parenthesized!(tokens in input);
        Value::List(tokens.parse()?)
    };
    if input.is_empty() { Ok((word, value)) } else { Err(input.error("unexpected")) }
}

/// The tokens between the commas; a comma inside `<...>` or `(...)` splits nothing.
fn split_at_commas(tokens: TokenStream) -> Vec<TokenStream> {
    let mut parts = vec![TokenStream::new()];
    let mut depth = 0_usize;
    for token in tokens {
        if let TokenTree::Punct(punct) = &token {
            match punct.as_char() {
                '<' => depth += 1,
                '>' => depth = depth.saturating_sub(1),
                ',' if depth == 0 => {
                    parts.push(TokenStream::new());
                    continue;
                }
                _ => {}
            }
        }
        if let Some(part) = parts.last_mut() {
            part.extend([token]);
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

/// The tokens in an attribute's parentheses; nothing for `#[word]`, `None` for `#[word = ...]`.
pub(crate) fn in_parentheses(attribute: &syn::Attribute) -> Option<TokenStream> {
    match &attribute.meta {
        syn::Meta::Path(_) => Some(TokenStream::new()),
        syn::Meta::List(list) => {
            let is_parenthesis = matches!(list.delimiter, syn::MacroDelimiter::Paren(_));
            is_parenthesis.then(|| list.tokens.clone())
        }
        syn::Meta::NameValue(_) => None,
    }
}

/// Whether the tokens start like an entry and not like a type: `on(...)`, `data = ...`.
pub(crate) fn starts_with_entry(tokens: &TokenStream) -> bool {
    let mut tokens = tokens.clone().into_iter();
    if !matches!(tokens.next(), Some(TokenTree::Ident(_))) {
        return false;
    }
    match tokens.next() {
        Some(TokenTree::Punct(punct)) => punct.as_char() == '=',
        Some(TokenTree::Group(group)) => group.delimiter() == Delimiter::Parenthesis,
        _ => false,
    }
}
