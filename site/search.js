/* Looks for words in documents.js with minisearch. */
"use strict";

(() => {
  const input = document.getElementById("words"),
    results = document.getElementById("results");
  const found = document.getElementById("found");
  /* chan_select is one word, and select is found in it. */
  const index = new MiniSearch({
    fields: ["title", "text"],
    storeFields: ["url", "page", "title", "text"],
    tokenize: text => text.split(/[^\p{L}\p{N}_]+/u).filter(Boolean),
    processTerm: term => [...new Set([term, ...term.split("_")])].filter(Boolean).map(t => t.toLowerCase()),
    searchOptions: {
      boost: { title: 4 },
      prefix: true,
      fuzzy: term => (term.length > 5 ? 0.15 : 0),
      combineWith: "AND",
      processTerm: term => term.toLowerCase()
    }
  });
  index.addAll(documents);

  /* Some words around the first that was found. */
  function extract(text, terms) {
    const at = Math.max(0, text.toLowerCase().indexOf(terms[0] || ""));
    const begin = at < 60 ? 0 : text.indexOf(" ", at - 60) + 1;
    return (begin > 0 ? "… " : "") + text.slice(begin, begin + 180) + (text.length > begin + 180 ? " …" : "");
  }

  /* Texts with all of the words; if these are few, then texts with some of them. */
  function search(words) {
    const all = index.search(words);
    const some = all.length < 3 ? index.search(words, { combineWith: "OR" }) : [];
    return all.concat(some.filter(hit => !all.some(one => one.id == hit.id))).slice(0, 30);
  }

  function show() {
    const hits = input.value.trim() ? search(input.value) : [];
    found.textContent = !input.value.trim() ? "" : hits.length ? `${hits.length} found` : "Nothing found";
    results.replaceChildren(
      ...hits.map(hit => {
        const item = document.createElement("li"),
          link = document.createElement("a"),
          words = document.createElement("p");
        link.href = hit.url;
        link.textContent = hit.title == hit.page ? hit.title : `${hit.title} (${hit.page})`;
        words.textContent = extract(hit.text, hit.terms);
        item.append(link, words);
        return item;
      })
    );
  }

  input.addEventListener("input", show);
  input.value = new URLSearchParams(location.search).get("words") || "";
  input.focus();
  show();
})();
