//! What the macros write, as a person would read it: one snapshot per shape. A change here is a change for every
//! connector there is; read it before accepting it.

use proc_macro2::{Spacing, TokenStream, TokenTree};
use quote::quote;

use crate::{connector, object, page, settings};

#[test]
fn a_connector_that_is_told_of_changes() {
    check(
        "outgoing",
        connector::connector(
            quote!(name = "crm", needs(HostDb)),
            quote! {
                /// Keeps the CRM's contacts in step.
                #[outgoing(User, on(update, create), data = snapshot, filter = Self::wants)]
                #[outgoing(User, on(remove_from_site, delete), data = simple, site = "corp%", code_name = "a%")]
                #[outgoing(model::Company, global)]
                pub struct Crm {
                    /// A client.
                    http: Client,
                }
            },
        ),
    );
}

#[test]
fn a_connector_that_accepts_external_objects() {
    check(
        "incoming",
        connector::connector(
            quote!(name = "forms"),
            quote! {
                #[incoming(WebContact, key = header.uid)]
                #[incoming(Click, unordered, kind = "web_click", decode = read_click)]
                struct Forms;
            },
        ),
    );
}

#[test]
fn a_connector_that_does_both() {
    check(
        "both",
        connector::connector(
            quote!(name = "crm-eu", crate = words),
            quote! {
                /// Both ways.
                #[outgoing(User)]
                #[incoming(Contact, key = uid, owns(login, r#type, "phone"), conflict = host_wins, conflicts(login = external_wins))]
                struct Crm;
            },
        ),
    );
}

#[test]
fn a_connector_that_is_told_of_any_object() {
    check(
        "any_object",
        connector::connector(
            quote!(name = "audit"),
            quote! {
                #[outgoing(AnyObject, type = "cms.%")]
                struct Audit;
            },
        ),
    );
}

#[test]
fn a_connector_that_is_told_of_pages() {
    check(
        "pages",
        connector::connector(
            quote!(name = "site"),
            quote! {
                #[outgoing(Article, on(publish, delete), path = "/News/%", culture = "de-%")]
                #[outgoing(AnyPage, class = "app.%")]
                struct Web;
            },
        ),
    );
}

#[test]
fn a_page() {
    check(
        "page",
        page::page(quote! {
            #[page(class = "app.article", display = "Article")]
            #[serde(rename_all = "camelCase")]
            struct Article {
                #[page(node)]
                stands_at: PageNode,
                written_by: Option<Ref<User>>,
            }
        }),
    );
}

#[test]
fn a_page_with_a_mistake() {
    check(
        "page_mistake",
        page::page(quote! {
            struct Article {
                #[page(node)]
                node: PageNode,
            }
        }),
    );
}

#[test]
fn a_connector_that_is_told_before_the_caller_goes_on() {
    check(
        "sync",
        connector::connector(
            quote!(name = "door"),
            quote! {
                #[outgoing(Badge, on(update, delete), sync, site = "hq")]
                struct Door;
            },
        ),
    );
}

#[test]
fn a_connector_that_blocks() {
    check(
        "blocking",
        connector::connector(
            quote!(name = "ledger", blocking),
            quote! {
                #[outgoing(User)]
                #[incoming(Booking, key = number, owns(total))]
                struct Ledger;
            },
        ),
    );
}

#[test]
fn a_connector_that_is_generic_over_its_transport() {
    check(
        "generic",
        connector::connector(
            quote!(name = "acme"),
            quote! {
                #[outgoing(User, filter = Self::wants)]
                #[incoming(Contact, key = uid)]
                struct Acme<T: Transport, const N: usize>
                where
                    T::Body: Body,
                {
                    transport: [T; N],
                }
            },
        ),
    );
}

#[test]
fn a_connector_with_a_mistake() {
    check(
        "mistake",
        connector::connector(
            quote!(name = "CRM"),
            quote! {
                #[outgoing(User)]
                #[incoming(Contact)]
                struct Crm;
            },
        ),
    );
}

#[test]
fn an_object() {
    check(
        "object",
        object::bus_object(quote! {
            #[object(type = "cms.category")]
            #[serde(rename_all = "camelCase")]
            struct ShopCategory {
                #[object(id)]
                id: Id,
                #[object(guid)]
                guid: Guid,
                #[object(code_name)]
                code: Text,
                #[object(display_name)]
                name: Text,
                #[object(site)]
                site: Text,
                #[object(parent)]
                parent_category: Option<Ref<ShopCategory>>,
                #[object(group)]
                #[serde(rename = "class")]
                group: Ref<Group>,
                see_also: Vec<Ref<ShopCategory>>,
                #[object(children)]
                labels: Children<Label>,
                #[serde(skip)]
                cache: Option<Ref<Group>>,
            }
        }),
    );
}

#[test]
fn a_view_of_an_object() {
    check(
        "view",
        object::bus_object(quote! {
            #[object(type = "cms.category", view)]
            struct CategoryName {
                #[object(id)]
                id: Id,
                name: Text,
            }
        }),
    );
}

#[test]
fn an_object_with_a_mistake() {
    check(
        "object_mistake",
        object::bus_object(quote! {
            #[object(type = "app.user")]
            struct User {
                id: Id,
            }
        }),
    );
}

#[test]
fn a_form() {
    check(
        "settings",
        settings::settings(quote! {
            #[serde(rename_all = "kebab-case")]
            struct CrmSettings {
                /// Where the CRM
                /// answers.
                base_url: Url,
                /// How long to wait.
                #[serde(default = "ten")]
                wait: Seconds,
                #[serde(skip)]
                cache: Cache,
            }
        }),
    );
}

#[test]
fn a_choice() {
    check(
        "choice",
        settings::settings(quote! {
            #[serde(rename_all = "snake_case")]
            enum Strangers {
                Ignore,
                TakeOver,
                #[serde(rename = "ask")]
                AskSomebody,
            }
        }),
    );
}

/// Compares the expansion with its snapshot, and refuses names that an author's module could shadow.
#[track_caller]
fn check(name: &str, expansion: TokenStream) {
    let file = syn::parse2(expansion.clone()).unwrap();
    insta::assert_snapshot!(name, prettyplease::unparse(&file));
    let mut unqualified = Vec::new();
    find_unqualified(expansion, &mut unqualified);
    assert!(unqualified.is_empty(), "`{}` can be shadowed", unqualified.join("`, `"));
}

/// What an author's module may well define, too.
const BANNED: &[&str] = &[
    "std",
    "core",
    "alloc",
    "bus_core",
    "serde",
    "serde_json",
    "inventory",
    "uuid",
    "str",
    "bool",
    "u8",
    "i64",
    "String",
    "Some",
    "None",
    "Result",
    "Ok",
    "Err",
    "Box",
    "Into",
    "From",
    "Default",
    "Send",
    "Sync",
    "Sized",
    "env",
    "file",
    "line",
    "compile_error",
    "unreachable",
    "Connector",
    "Outgoing",
    "Incoming",
    "BusObject",
    "Settings",
    "Failure",
    "Subscription",
    "Route",
    "Need",
    "Place",
];

fn find_unqualified(tokens: TokenStream, found: &mut Vec<String>) {
    let tokens: Vec<_> = tokens.into_iter().collect();
    for (index, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Group(group) => find_unqualified(group.stream(), found),
            TokenTree::Ident(ident) => {
                let is_punct = |at: Option<usize>, text: char| {
                    at.and_then(|at| tokens.get(at)).is_some_and(
                        |token| matches!(token, TokenTree::Punct(punct) if punct.as_char() == text),
                    )
                };
                let follows_colons =
                    is_punct(index.checked_sub(1), ':') && is_punct(index.checked_sub(2), ':');
                // A field, as in `Place { file: ... }`: one colon, not two that belong together.
                let is_field = matches!(
                    tokens.get(index + 1),
                    Some(TokenTree::Punct(punct)) if punct.as_char() == ':' && punct.spacing() == Spacing::Alone
                );
                if BANNED.iter().any(|banned| ident == banned) && !follows_colons && !is_field {
                    found.push(ident.to_string());
                }
            }
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
}
