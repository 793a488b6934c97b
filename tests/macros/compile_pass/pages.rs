//! Pages of several shapes, and lines with all criteria of pages.

use bus_core::{AnyPage, Page, PageNode, Ref, Subject, connector};
use bus_tests_macros::{Article, User, connects, delivers};
use serde::{Deserialize, Serialize};

mod model {
    pub use bus_core::PageNode as Node;
}

#[derive(Serialize, Deserialize, Page)]
#[page(class = "shop.product", display = "Product")]
#[serde(rename_all = "camelCase")]
struct Product {
    #[page(node)]
    #[serde(rename = "place")]
    stands_at: bus_core::PageNode,
    sold_by: Vec<Ref<User>>,
}

#[derive(Serialize, Deserialize, Page)]
#[page(class = "app.note")]
struct Note {
    #[page(node)]
    r#where: PageNode,
}

#[connector(name = "crm")]
#[outgoing(Product, on(publish, archive, reject, r#move), path = "/Shop/%", culture = "de-%", site = "corp")]
#[outgoing(Note, sync)]
#[outgoing(AnyPage, class = "app.%", on(create, update, delete, delete_all), data = simple)]
#[outgoing(Article)]
struct Crm;

connects!(Crm);
delivers!(Crm: Product);
delivers!(Crm: Note);
delivers!(Crm: AnyPage);
delivers!(Crm: Article);

fn main() {
    use bus_core::descriptor::DescribedConnector;

    assert_eq!((Product::NODE, Note::NODE), ("place", "where"));
    assert_eq!(Product::REFERENCES[0].field, "soldBy");
    assert!(Crm::DESCRIPTOR.outgoing().all(|route| route.subscription.of == Subject::Pages));
    let _: Option<model::Node> = None;
}
