// A field to write messages in. What is written stays in the tab until the server has taken it, for each `place` of its
// own: a page that loads itself anew, because the server was away, loses no word.
export default {
  template: `
    <div class="gl-writer">
      <textarea ref="field" :class="look" rows="1" :placeholder="label" :aria-label="label" :maxlength="longest"
        @input="keep" @keydown.enter="entered"></textarea>
      <slot></slot>
      <button type="button" class="gl-icon gl-send" aria-label="Send" title="Send" @click="clicked">
        <i class="q-icon material-icons" aria-hidden="true">send</i></button>
    </div>`,
  props: { label: String, longest: Number, place: String, look: String },
  emits: ["written"],
  mounted() {
    this.last = 0;
    this.waiting = []; // for the server's word
    this.restore();
  },
  watch: {
    place() {
      this.restore();
    },
  },
  methods: {
    restore() {
      const mine = this.waiting.filter((one) => one.place === this.place).map((one) => one.text);
      const kept = JSON.parse(sessionStorage.getItem(address(this.place)) || "[]");
      this.$refs.field.value = kept.slice(mine.length).join("\n"); // those that wait come first
    },
    keep() {
      this.store(this.place, this.$refs.field.value);
    },
    store(place, draft) {
      const texts = this.waiting.filter((one) => one.place === place).map((one) => one.text);
      if (draft.trim()) texts.push(draft);
      if (texts.length) sessionStorage.setItem(address(place), JSON.stringify(texts));
      else sessionStorage.removeItem(address(place));
    },
    entered(event) {
      if (event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.send();
    },
    clicked() {
      this.send();
      this.focus();
    },
    focus() {
      this.$nextTick(() => this.$refs.field.focus()); // after a menu that closes at the same time
    },
    send() {
      const text = this.$refs.field.value;
      this.$refs.field.value = "";
      const sent = { number: ++this.last, place: this.place, text };
      if (text.trim()) this.waiting.push(sent);
      this.keep();
      if (text.trim()) this.$emit("written", sent);
    },
    // The server's word on what was sent. What it could not take is there to be sent again.
    settle(number, taken) {
      const sent = this.waiting.find((one) => one.number === number);
      if (!sent) return;
      const draft = this.draft(sent.place);
      this.waiting = this.waiting.filter((one) => one !== sent);
      const texts = taken ? [draft] : [sent.text, draft];
      this.store(sent.place, texts.filter((text) => text.trim()).join("\n"));
      if (!taken && sent.place === this.place) this.restore();
    },
    draft(place) {
      if (place === this.place) return this.$refs.field.value;
      const waiting = this.waiting.filter((one) => one.place === place).length;
      return JSON.parse(sessionStorage.getItem(address(place)) || "[]").slice(waiting).join("\n");
    },
  },
};

function address(place) {
  return `greenline.written ${place}`;
}
