//! What stands between the parentheses of an attribute: `word`, `word = value` and `word(list)`, split by commas.
//!
//! Reading never stops at the first mistake: what cannot be read is refused, and reading goes on after the comma.

use proc_macro2::{Delimiter, Ident, TokenStream, TokenTree};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream, Parser};
use syn::punctuated::Punctuated;
use syn::{ExprPath, LitStr, Path, Token, Type};

use crate::errors::Errors;
use crate::suggest;

/// All entries of one attribute.
pub(crate) struct Entries {
    /// The attribute as its author knows it: `#[outgoing(User, ...)]`.
    pub(crate) attribute: String,
    list: Vec<Entry>,
}

/// One entry.
pub(crate) struct Entry {
    pub(crate) word: Ident,
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
        let mut entries = Self {
            attribute: attribute.into(),
            list: Vec::new(),
        };
        for tokens in split_at_commas(tokens) {
            match parse_entry.parse2(tokens.clone()) {
                Ok(entry) => entries.list.push(entry),
                Err(_) => errors.refuse(
                    tokens,
                    format!(
                        "{} cannot be read here: write a key, `key = value` or `key(...)`",
                        entries.attribute
                    ),
                ),
            }
        }
        entries
    }

    /// The entries of another attribute of the same kind on the same thing.
    pub(crate) fn append(&mut self, mut other: Self) {
        self.list.append(&mut other.list);
    }

    /// The first entry with this word.
    pub(crate) fn get(&self, word: &str) -> Option<&Entry> {
        self.list.iter().find(|entry| entry.is(word))
    }

    /// A key that stands twice says two things, and only one of them would be heard.
    pub(crate) fn refuse_repeats(&self, errors: &mut Errors) {
        for (index, entry) in self.list.iter().enumerate() {
            if self.list[..index]
                .iter()
                .any(|earlier| earlier.word == entry.word)
            {
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
                format!(
                    "{} has no key `{word}`: {}",
                    self.attribute,
                    suggest::remedy(&word, known)
                )
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
        entry.equals(
            &format!("takes the path of a function: write `{word} = {example}`"),
            errors,
        )
    }

    /// `crate = path`.
    pub(crate) fn crate_path(&self, errors: &mut Errors) -> Option<Path> {
        let entry = self.get("crate")?;
        let remedy = "takes the path of `bus_core`: write `crate = the_name_in_your_cargo_toml`";
        let Value::Equals(tokens) = &entry.value else {
            errors.refuse(&entry.word, format!("`crate` {remedy}"));
            return None;
        };
        match Path::parse_mod_style.parse2(tokens.clone()) {
            Ok(path) => Some(path),
            Err(_) => {
                errors.refuse(tokens, format!("`crate` {remedy}"));
                None
            }
        }
    }

    /// `word`, alone.
    pub(crate) fn flag<'e>(&'e self, word: &str, errors: &mut Errors) -> Option<&'e Entry> {
        let entry = self.get(word)?;
        let (Value::Equals(tokens) | Value::List(tokens)) = &entry.value else {
            return Some(entry);
        };
        let place: &dyn ToTokens = if tokens.is_empty() { &entry.word } else { tokens };
        errors.refuse(
            place,
            format!("`{word}` in {} stands alone: write `{word}`", self.attribute),
        );
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
        let word = self.word.unraw();
        let Value::Equals(tokens) = &self.value else {
            errors.refuse(&self.word, format!("`{word}` {remedy}"));
            return None;
        };
        if let Ok(value) = syn::parse2(tokens.clone()) {
            return Some(value);
        }
        let place: &dyn ToTokens = if tokens.is_empty() { &self.word } else { tokens };
        errors.refuse(place, format!("`{word}` {remedy}"));
        None
    }

    /// What stands in `word(a, b)`.
    pub(crate) fn list<T: Parse>(&self, remedy: &str, errors: &mut Errors) -> Option<Vec<T>> {
        let word = self.word.unraw();
        let tokens = match &self.value {
            Value::List(tokens) => tokens,
            Value::Nothing | Value::Equals(_) => {
                errors.refuse(&self.word, format!("`{word}` {remedy}"));
                return None;
            }
        };
        match Punctuated::<T, Token![,]>::parse_terminated.parse2(tokens.clone()) {
            Ok(list) => Some(list.into_iter().collect()),
            Err(_) => {
                errors.refuse(tokens, format!("`{word}` {remedy}"));
                None
            }
        }
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

fn parse_entry(input: ParseStream<'_>) -> syn::Result<Entry> {
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
    if input.is_empty() {
        Ok(Entry { word, value })
    } else {
        Err(input.error("unexpected"))
    }
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
