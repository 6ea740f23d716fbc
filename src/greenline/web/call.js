// A call on the phone: the person's microphone and loudspeaker by the browser's own WebRTC.
const WORDS = {
  calling: "calling …",
  ringing: "ringing …",
  incoming: "is calling you",
  connecting: "connecting …",
};

export default {
  template: `
    <div v-if="state !== 'idle'" class="gl-call" role="dialog" aria-label="Call">
      <div class="gl-call-head">
        <div class="gl-avatar gl-call-avatar">{{ name.slice(0, 1).toUpperCase() }}</div>
        <div class="gl-call-name">{{ name }}</div>
        <div class="gl-call-state" role="status">{{ told }}</div>
      </div>
      <div class="gl-call-captions" ref="captions" role="log" aria-label="Captions">
        <div v-for="line in captions" :key="line.id" :class="['gl-caption', line.who]">
          <span class="gl-caption-who">{{ line.who === 'person' ? 'You' : name }}</span> {{ line.text }}
        </div>
      </div>
      <div class="gl-call-buttons" v-if="state === 'incoming'">
        <button type="button" class="gl-call-button end" aria-label="Decline" @click="$emit('decline')">
          <i class="q-icon material-icons">call_end</i></button>
        <button type="button" class="gl-call-button take" aria-label="Accept" @click="$emit('accept')">
          <i class="q-icon material-icons">call</i></button>
      </div>
      <div class="gl-call-buttons" v-else-if="state === 'ended'">
        <button type="button" class="gl-call-button" aria-label="Close" @click="$emit('dismiss')">
          <i class="q-icon material-icons">close</i></button>
      </div>
      <div class="gl-call-buttons" v-else>
        <button type="button" :class="['gl-call-button', {on: muted}]" :aria-pressed="muted" aria-label="Mute"
          @click="mute"><i class="q-icon material-icons">{{ muted ? 'mic_off' : 'mic' }}</i></button>
        <button type="button" class="gl-call-button end" aria-label="Hang up" @click="$emit('hangup')">
          <i class="q-icon material-icons">call_end</i></button>
      </div>
    </div>`,
  props: { state: String, name: String, note: String, captions: Array },
  emits: ["offer", "accept", "decline", "hangup", "dismiss", "failed"],
  data() {
    return { muted: false, seconds: 0 };
  },
  computed: {
    told() {
      if (this.state === "ended") return this.note || "call ended";
      if (this.state !== "connected") return WORDS[this.state] || "";
      const whole = Math.floor(this.seconds);
      return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
    },
  },
  watch: {
    state(state) {
      clearInterval(this.timer);
      if (state === "connected") {
        const began = performance.now();
        this.timer = setInterval(() => (this.seconds = (performance.now() - began) / 1000), 250);
      }
      if (state === "ended" || state === "idle") this.close();
    },
    captions() {
      this.$nextTick(() => {
        const list = this.$refs.captions;
        if (list) list.scrollTop = list.scrollHeight;
      });
    },
  },
  beforeUnmount() {
    clearInterval(this.timer);
    this.close();
  },
  methods: {
    async offer() {
      this.close();
      try {
        if (!navigator.mediaDevices) throw new Error("the browser asks for https, or for localhost");
        this.microphone = await navigator.mediaDevices.getUserMedia({
          audio: { channelCount: 1, echoCancellation: true, noiseSuppression: true },
        });
        const peer = (this.peer = new RTCPeerConnection());
        peer.addTrack(this.microphone.getAudioTracks()[0], this.microphone);
        peer.ontrack = (event) => this.listen(event.track);
        peer.onconnectionstatechange = () => {
          if (peer.connectionState === "failed") this.$emit("failed", "no connection to the emulator");
        };
        await peer.setLocalDescription(await peer.createOffer());
        await this.gathered(peer);
        this.$emit("offer", peer.localDescription.sdp);
      } catch (error) {
        this.close();
        this.$emit("failed", String(error.message || error));
      }
    },
    gathered(peer) {
      if (peer.iceGatheringState === "complete") return;
      return new Promise((done) => {
        peer.onicegatheringstatechange = () => peer.iceGatheringState === "complete" && done();
      });
    },
    async answer(sdp) {
      await this.peer?.setRemoteDescription({ type: "answer", sdp });
    },
    listen(track) {
      this.speaker = new Audio();
      this.speaker.srcObject = new MediaStream([track]);
      this.speaker.play().catch((error) => this.$emit("failed", `no sound: ${error.message}`));
    },
    mute() {
      this.muted = !this.muted;
      this.microphone?.getAudioTracks().forEach((track) => (track.enabled = !this.muted));
    },
    close() {
      this.peer?.close();
      this.microphone?.getTracks().forEach((track) => track.stop());
      this.speaker?.pause();
      this.peer = this.microphone = this.speaker = undefined;
      this.muted = false;
      this.seconds = 0;
    },
  },
};
