//! The application's full-text index: a folder of tantivy's. It knows nothing of the bus.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::Path;

use tantivy::collector::{Count, TopDocs};
use tantivy::directory::MmapDirectory;
use tantivy::query::{QueryParser, TermQuery};
use tantivy::schema::{
    Field, IndexRecordOption, STORED, STRING, Schema, TextFieldIndexing, TextOptions, Value as _,
};
use tantivy::tokenizer::{AsciiFoldingFilter, LowerCaser, SimpleTokenizer, TextAnalyzer};
use tantivy::{Index, IndexReader, IndexWriter, ReloadPolicy, TantivyDocument, TantivyError, Term};

/// Words in lower case and without accents, so that `zurich` finds Zürich.
const PLAIN_WORDS: &str = "plain_words";

/// What the writer may keep in memory before it writes by itself: the least that tantivy accepts for one thread.
const WRITER_MEMORY_BYTES: usize = 15_000_000;

/// The most entries of one country: more than any country has subdivisions.
const OF_COUNTRY_MAX: usize = 10_000;

/// What the index holds of one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// What the index calls it.
    pub(crate) id: String,
    /// What kind of thing it is, for the program.
    pub(crate) kind: Kind,
    /// What kind of thing it is, for people: `Country`, `Province`.
    pub(crate) category: String,
    /// Its code.
    pub(crate) code: String,
    /// Its name.
    pub(crate) name: String,
    /// The country that it is a part of; none for a country.
    pub(crate) country: Option<InCountry>,
}

/// What kind of thing something is. A category would not tell: England is a part of a country, of category `Country`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A country.
    Country,
    /// A part of a country.
    Subdivision,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Country => "country",
            Self::Subdivision => "subdivision",
        }
    }
}

/// The country that something is a part of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InCountry {
    /// What the index calls it.
    pub(crate) id: String,
    /// Its name.
    pub(crate) name: String,
}

/// The index, for reading. Clones look at the same folder.
#[derive(Clone)]
pub(crate) struct Search {
    index: Index,
    reader: IndexReader,
    fields: Fields,
}

#[derive(Debug, Clone, Copy)]
struct Fields {
    id: Field,
    kind: Field,
    category: Field,
    code: Field,
    name: Field,
    country: Field,
    country_name: Field,
}

impl Search {
    /// Opens the index in this folder; makes both where they are not there.
    pub(crate) fn open(folder: &Path) -> tantivy::Result<Self> {
        fs::create_dir_all(folder).map_err(|error| {
            let reason = format!("the folder {} cannot be made: {error}", folder.display());
            TantivyError::from(io::Error::new(error.kind(), reason))
        })?;
        let words = TextFieldIndexing::default()
            .set_tokenizer(PLAIN_WORDS)
            .set_index_option(IndexRecordOption::WithFreqsAndPositions);
        let words = TextOptions::default().set_indexing_options(words).set_stored();
        let mut schema = Schema::builder();
        let fields = Fields {
            id: schema.add_text_field("id", STRING | STORED),
            kind: schema.add_text_field("kind", STRING | STORED),
            category: schema.add_text_field("category", words.clone()),
            code: schema.add_text_field("code", STRING | STORED),
            name: schema.add_text_field("name", words.clone()),
            country: schema.add_text_field("country", STRING | STORED),
            country_name: schema.add_text_field("country_name", words),
        };
        let index = Index::open_or_create(MmapDirectory::open(folder)?, schema.build())?;
        let analyzer = TextAnalyzer::builder(SimpleTokenizer::default())
            .filter(LowerCaser)
            .filter(AsciiFoldingFilter)
            .build();
        index.tokenizers().register(PLAIN_WORDS, analyzer);
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
        Ok(Self { index, reader, fields })
    }

    /// The best matches: every word must stand in the name, the category or the name of the country.
    pub(crate) fn find(&self, words: &str, limit: usize) -> tantivy::Result<Vec<Entry>> {
        let Fields { category, name, country_name, .. } = self.fields;
        let mut parser = QueryParser::for_index(&self.index, vec![name, category, country_name]);
        parser.set_conjunction_by_default();
        parser.set_field_boost(name, 4.0);
        // Whatever is typed is a search: what is no query is taken as words.
        let (query, _faults) = parser.parse_query_lenient(words);
        self.reader.reload()?;
        let searcher = self.reader.searcher();
        let best = searcher.search(&query, &TopDocs::with_limit(limit).order_by_score())?;
        best.into_iter().map(|(_, address)| Ok(self.fields.read(&searcher.doc(address)?))).collect()
    }

    /// How many countries and how many parts of countries there are.
    pub(crate) fn counts(&self) -> tantivy::Result<(usize, usize)> {
        self.reader.reload()?;
        let searcher = self.reader.searcher();
        let count = |kind| searcher.search(&self.of_kind(kind), &Count);
        Ok((count(Kind::Country)?, count(Kind::Subdivision)?))
    }

    /// For writing. There is one writer at a time, in all processes.
    pub(crate) fn writer(&self) -> tantivy::Result<Writer> {
        let pending = self.index.writer_with_num_threads(1, WRITER_MEMORY_BYTES)?;
        let countries = self.entries(&self.of_kind(Kind::Country))?;
        let names = countries.into_iter().map(|country| (country.id, country.name)).collect();
        Ok(Writer { search: self.clone(), pending, names })
    }

    fn of_kind(&self, kind: Kind) -> TermQuery {
        exactly(self.fields.kind, kind.as_str())
    }

    fn entries(&self, query: &TermQuery) -> tantivy::Result<Vec<Entry>> {
        self.reader.reload()?;
        let searcher = self.reader.searcher();
        let found = searcher.search(query, &TopDocs::with_limit(OF_COUNTRY_MAX).order_by_score())?;
        found.into_iter().map(|(_, address)| Ok(self.fields.read(&searcher.doc(address)?))).collect()
    }
}

/// The index, for writing. Nothing is seen, or survives, before `commit`.
pub(crate) struct Writer {
    search: Search,
    pending: IndexWriter,
    /// What the countries are called, those of the next commit included.
    names: HashMap<String, String>,
}

impl Writer {
    /// Puts a country in, or in the place of what it was. Its parts are told its new name.
    pub(crate) fn put_country(&mut self, id: &str, code: &str, name: &str) -> tantivy::Result<()> {
        let before = self.names.insert(id.to_owned(), name.to_owned());
        if before.is_some_and(|before| before != name) {
            // Its parts are found in what is committed; there may be more of them in what is not.
            self.commit()?;
            for mut part in self.search.entries(&exactly(self.search.fields.country, id))? {
                part.country = Some(InCountry { id: id.to_owned(), name: name.to_owned() });
                self.put(&part)?;
            }
        }
        self.put(&Entry {
            id: id.to_owned(),
            kind: Kind::Country,
            category: "Country".to_owned(),
            code: code.to_owned(),
            name: name.to_owned(),
            country: None,
        })
    }

    /// What a country is called.
    pub(crate) fn country(&self, id: &str) -> Option<InCountry> {
        let name = self.names.get(id)?.clone();
        Some(InCountry { id: id.to_owned(), name })
    }

    /// Puts this in, or in the place of what it was: as often as one likes.
    pub(crate) fn put(&mut self, entry: &Entry) -> tantivy::Result<()> {
        self.pending.delete_term(Term::from_field_text(self.search.fields.id, &entry.id));
        self.pending.add_document(self.search.fields.write(entry))?;
        Ok(())
    }

    /// Takes this out, if it is there.
    pub(crate) fn remove(&mut self, id: &str) {
        self.names.remove(id);
        self.pending.delete_term(Term::from_field_text(self.search.fields.id, id));
    }

    /// Makes everything so far durable, and seen by who searches.
    pub(crate) fn commit(&mut self) -> tantivy::Result<()> {
        self.pending.commit()?;
        Ok(())
    }
}

impl Fields {
    fn write(&self, entry: &Entry) -> TantivyDocument {
        let mut document = TantivyDocument::default();
        document.add_text(self.id, &entry.id);
        document.add_text(self.kind, entry.kind.as_str());
        document.add_text(self.category, &entry.category);
        document.add_text(self.code, &entry.code);
        document.add_text(self.name, &entry.name);
        if let Some(country) = &entry.country {
            document.add_text(self.country, &country.id);
            document.add_text(self.country_name, &country.name);
        }
        document
    }

    fn read(&self, document: &TantivyDocument) -> Entry {
        let optional = |field| document.get_first(field).and_then(|value| value.as_str()).map(str::to_owned);
        let text = |field| optional(field).unwrap_or_default();
        let is_country = text(self.kind) == Kind::Country.as_str();
        let country = optional(self.country).zip(optional(self.country_name));
        Entry {
            id: text(self.id),
            kind: if is_country { Kind::Country } else { Kind::Subdivision },
            category: text(self.category),
            code: text(self.code),
            name: text(self.name),
            country: country.map(|(id, name)| InCountry { id, name }),
        }
    }
}

fn exactly(field: Field, value: &str) -> TermQuery {
    TermQuery::new(Term::from_field_text(field, value), IndexRecordOption::Basic)
}
