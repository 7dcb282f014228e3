//! The values that labels can have.

/// A closed set of label values.
macro_rules! labels {
    ($(#[$attribute:meta])* $name:ident { $($variant:ident => $text:literal,)+ }) => {
        $(#[$attribute])*
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        #[allow(missing_docs, reason = "each variant is its label")]
        pub enum $name { $($variant,)+ }

        impl $name {
            /// All values, in the order of their discriminants.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The label.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }
    };
}

labels! {
    /// The method of a request.
    Method { Get => "GET", Head => "HEAD", Other => "other", Post => "POST", }
}

labels! {
    /// The path of a request.
    Path {
        Healthz => "/healthz", Livez => "/livez", Metrics => "/metrics", Mutate => "/mutate",
        Other => "other", Readyz => "/readyz", Root => "/",
    }
}

labels! {
    /// The status of an answer.
    Status {
        Ok => "200", BadRequest => "400", Forbidden => "403", NotFound => "404",
        MethodNotAllowed => "405", RequestTimeout => "408", PayloadTooLarge => "413", UnsupportedMediaType => "415",
        InternalServerError => "500", ServiceUnavailable => "503",
    }
}

/// The origin of the map in use.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MapOrigin {
    /// The program itself.
    BuiltIn,
    /// The map file.
    File,
}

labels! {
    /// What came of a reload.
    ReloadResult { Applied => "applied", Failed => "failed", Refused => "refused", }
}

labels! {
    /// What came of making a certificate or an authority.
    RotationResult { Failed => "failed", Issued => "issued", }
}

labels! {
    /// What came of writing the webhook configuration.
    WriteResult { Created => "created", Failed => "failed", Repaired => "repaired", }
}
