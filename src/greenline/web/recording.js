// The recording of a conversation: the turn that is heard is marked, and a turn's time plays from there.
const AHEAD_SECONDS = 0.15;

export default {
  template: `<audio class="gl-recorded" controls preload="metadata" aria-label="Recording" :src="address"
    @timeupdate="mark" @seeked="mark" @ended="unmark"></audio>`,
  props: { src: String },
  computed: {
    address() {
      return this.src ? window.path_prefix + this.src : undefined;
    },
  },
  mounted() {
    document.addEventListener("click", this.seek);
  },
  beforeUnmount() {
    document.removeEventListener("click", this.seek);
  },
  methods: {
    seek(event) {
      const place = event.target.closest("[data-at]");
      if (!place) return;
      this.$el.currentTime = Number(place.dataset.at);
      this.$el.play().catch((error) => console.warn("The recording can't be played:", error));
    },
    mark() {
      const heard = [...document.querySelectorAll("[data-at]")]
        .filter((place) => Number(place.dataset.at) <= this.$el.currentTime + AHEAD_SECONDS)
        .map((place) => place.closest(".gl-turn"));
      const turn = heard[heard.length - 1];
      if (turn === this.turn) return;
      this.unmark();
      this.turn = turn;
      turn?.classList.add("now");
      if (!this.$el.paused) turn?.scrollIntoView({ block: "nearest", behavior: "smooth" });
    },
    unmark() {
      this.turn?.classList.remove("now");
      this.turn = undefined;
    },
  },
};
