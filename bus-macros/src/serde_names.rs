//! What a field is called in JSON: its Rust name, unless serde was told otherwise.
//!
//! Only what changes names is read here; serde itself judges its attributes.

use proc_macro2::TokenStream;
use syn::ext::IdentExt;
use syn::parse::Parser;
use syn::{Attribute, Ident, LitStr, Meta, Token};

/// serde's attributes on a struct, an enum, a field or a variant, as far as they matter.
#[derive(Default)]
pub(crate) struct SerdeNames {
    /// `rename = "..."`, as it is written.
    pub(crate) written: Option<String>,
    /// `rename = "..."`, as it is read.
    pub(crate) read: Option<String>,
    /// `rename_all = "..."`, as it is written.
    pub(crate) all_written: Option<Case>,
    /// `rename_all = "..."`, as it is read.
    pub(crate) all_read: Option<Case>,
    /// `default`.
    pub(crate) default: bool,
    /// `flatten`.
    pub(crate) flatten: Option<Ident>,
    /// `skip` or `skip_serializing`.
    pub(crate) not_written: bool,
    /// `skip` or `skip_deserializing`.
    pub(crate) not_read: bool,
    /// `tag`, `content` or `untagged`.
    pub(crate) tagging: Option<Ident>,
}

/// A rule of `rename_all`.
#[derive(Clone, Copy)]
pub(crate) enum Case {
    Lower,
    Upper,
    Pascal,
    Camel,
    Snake,
    ScreamingSnake,
    Kebab,
    ScreamingKebab,
}

impl SerdeNames {
    /// Reads `#[serde(...)]`.
    pub(crate) fn of(attributes: &[Attribute]) -> Self {
        let mut names = Self::default();
        for attribute in attributes {
            let Meta::List(list) = &attribute.meta else {
                continue;
            };
            if !list.path.is_ident("serde") {
                continue;
            }
            // What cannot be read is serde's to refuse.
            let read = |input: syn::parse::ParseStream<'_>| {
                while !input.is_empty() {
                    names.read_one(input)?;
                    if !input.is_empty() {
                        input.parse::<Token![,]>()?;
                    }
                }
                Ok(())
            };
            let _ = read.parse2(list.tokens.clone());
        }
        names
    }

    fn read_one(&mut self, input: syn::parse::ParseStream<'_>) -> syn::Result<()> {
        let word = Ident::parse_any(input)?;
        let text = word.to_string();
        let (written, read) = if input.peek(Token![=]) {
            input.parse::<Token![=]>()?;
            if matches!(text.as_str(), "rename" | "rename_all") {
                let value: LitStr = input.parse()?;
                (Some(value.value()), Some(value.value()))
            } else {
                while !input.is_empty() && !input.peek(Token![,]) {
                    input.parse::<proc_macro2::TokenTree>()?;
                }
                (None, None)
            }
        } else if input.peek(syn::token::Paren) {
            let tokens;
            syn::parenthesized!(tokens in input);
            both_ways(tokens.parse()?)
        } else {
            (None, None)
        };
        match text.as_str() {
            "rename" => (self.written, self.read) = (written, read),
            "rename_all" => {
                self.all_written = written.and_then(|rule| Case::parse(&rule));
                self.all_read = read.and_then(|rule| Case::parse(&rule));
            }
            "default" => self.default = true,
            "flatten" => self.flatten = Some(word),
            "skip" => (self.not_written, self.not_read) = (true, true),
            "skip_serializing" => self.not_written = true,
            "skip_deserializing" => self.not_read = true,
            "tag" | "content" | "untagged" => self.tagging = Some(word),
            _ => {}
        }
        Ok(())
    }
}

/// `serialize = "a", deserialize = "b"`.
fn both_ways(tokens: TokenStream) -> (Option<String>, Option<String>) {
    let (mut written, mut read) = (None, None);
    let pairs = |input: syn::parse::ParseStream<'_>| {
        while !input.is_empty() {
            let word = Ident::parse_any(input)?;
            input.parse::<Token![=]>()?;
            let value: LitStr = input.parse()?;
            match word.to_string().as_str() {
                "serialize" => written = Some(value.value()),
                "deserialize" => read = Some(value.value()),
                _ => {}
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(())
    };
    let _ = pairs.parse2(tokens);
    (written, read)
}

impl Case {
    fn parse(rule: &str) -> Option<Self> {
        Some(match rule {
            "lowercase" => Self::Lower,
            "UPPERCASE" => Self::Upper,
            "PascalCase" => Self::Pascal,
            "camelCase" => Self::Camel,
            "snake_case" => Self::Snake,
            "SCREAMING_SNAKE_CASE" => Self::ScreamingSnake,
            "kebab-case" => Self::Kebab,
            "SCREAMING-KEBAB-CASE" => Self::ScreamingKebab,
            _ => return None,
        })
    }

    /// A field's name by this rule, as serde does it.
    fn of_field(self, field: &str) -> String {
        match self {
            Self::Lower | Self::Snake => field.to_owned(),
            Self::Upper | Self::ScreamingSnake => field.to_ascii_uppercase(),
            Self::Pascal => field.split('_').map(capitalised).collect(),
            Self::Camel => first_lowered(&Self::Pascal.of_field(field)),
            Self::Kebab => field.replace('_', "-"),
            Self::ScreamingKebab => field.to_ascii_uppercase().replace('_', "-"),
        }
    }

    /// A variant's name by this rule, as serde does it.
    fn of_variant(self, variant: &str) -> String {
        match self {
            Self::Pascal => variant.to_owned(),
            Self::Lower => variant.to_ascii_lowercase(),
            Self::Upper => variant.to_ascii_uppercase(),
            Self::Camel => first_lowered(variant),
            Self::Snake => {
                let mut snake = String::new();
                for (index, c) in variant.char_indices() {
                    if index > 0 && c.is_uppercase() {
                        snake.push('_');
                    }
                    snake.push(c.to_ascii_lowercase());
                }
                snake
            }
            Self::ScreamingSnake => Self::Snake.of_variant(variant).to_ascii_uppercase(),
            Self::Kebab => Self::Snake.of_variant(variant).replace('_', "-"),
            Self::ScreamingKebab => Self::ScreamingSnake.of_variant(variant).replace('_', "-"),
        }
    }
}

/// What a field is called when it is written.
pub(crate) fn field_written(field: &Ident, own: &SerdeNames, container: &SerdeNames) -> String {
    named(field, own.written.as_ref(), container.all_written, Case::of_field)
}

/// What a field is called when it is read.
pub(crate) fn field_read(field: &Ident, own: &SerdeNames, container: &SerdeNames) -> String {
    named(field, own.read.as_ref(), container.all_read, Case::of_field)
}

/// What a variant is called when it is read.
pub(crate) fn variant_read(variant: &Ident, own: &SerdeNames, container: &SerdeNames) -> String {
    named(variant, own.read.as_ref(), container.all_read, Case::of_variant)
}

fn named(
    name: &Ident,
    given: Option<&String>,
    case: Option<Case>,
    apply: fn(Case, &str) -> String,
) -> String {
    let name = name.unraw().to_string();
    match (given, case) {
        (Some(given), _) => given.clone(),
        (None, Some(case)) => apply(case, &name),
        (None, None) => name,
    }
}

fn capitalised(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map_or_else(String::new, |first| first.to_ascii_uppercase().to_string() + chars.as_str())
}

fn first_lowered(word: &str) -> String {
    let mut chars = word.chars();
    chars.next().map_or_else(String::new, |first| first.to_ascii_lowercase().to_string() + chars.as_str())
}
