(() => {
  const search = document.getElementById("search"), place = document.getElementById("place"), count = document.getElementById("count");
  const rows = [...document.querySelectorAll(".row")].map(e => ({ e, words: e.dataset.words, places: e.dataset.in.split(" ") }));
  const wholes = [...document.querySelectorAll("section:not(.overview), .because, .same details, .explained h3")];
  const places = new Set(rows.filter(r => r.e.matches("article")).flatMap(r => r.places).filter(Boolean));
  for (const name of [...places].sort()) place.add(new Option(name, name));
  const details = [...document.querySelectorAll(".because, .same details")];
  let opened = new Map();
  const apply = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean), where = place.value;
    const searching = words.length > 0;
    let shown = 0;
    for (const row of rows) {
      const fits = words.every(w => row.words.includes(w)) && (!where || row.places.includes(where));
      row.e.hidden = !fits;
      shown += fits;
    }
    for (const e of wholes) {
      if (e.matches("h3")) continue;
      e.hidden = !e.querySelector(".row:not([hidden])");
    }
    for (const e of wholes.filter(e => e.matches("h3"))) {
      let next = e.nextElementSibling, any = false;
      for (; next && !next.matches("h3"); next = next.nextElementSibling) any = any || !next.hidden;
      e.hidden = !any;
    }
    // What is found is to be seen; when the search ends, what was closed is closed again.
    for (const e of details) {
      if (searching && !opened.has(e)) { opened.set(e, e.open); }
      if (searching) e.open = !e.hidden; else if (opened.has(e)) e.open = opened.get(e);
    }
    if (!searching) opened = new Map();
    document.getElementById("nothing").hidden = shown > 0;
    count.value = searching || where ? `${shown} found` : `${rows.length} rows`;
  };
  search.addEventListener("input", apply);
  place.addEventListener("change", apply);
  document.addEventListener("keydown", event => {
    if (event.key === "/" && document.activeElement !== search) { event.preventDefault(); search.focus(); }
    if (event.key === "Escape" && document.activeElement === search) { search.value = ""; apply(); }
  });
  // On paper a reason stands for the rows that it explains: closed details print their summary.
  const taken = document.querySelector(".taken");
  addEventListener("beforeprint", () => { taken.open = true; });
  addEventListener("afterprint", () => { taken.open = false; });
  document.querySelector("nav").hidden = false;
  apply();
})();
