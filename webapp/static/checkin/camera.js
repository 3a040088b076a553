// The camera: pictures from it go to the decoder, one at a time; each code that is found is told once.

const WIDTH = 640; // enough for a code that fills a third of the picture, and quick to search
const AGAIN_MS = 4000; // the same code in the same hand is one scan

export class Camera {
  #video;
  #found;
  #worker = null;
  #stream = null;
  #last = { text: "", at: 0 };
  #paused = false;

  constructor(video, found) {
    this.#video = video;
    this.#found = found;
  }

  // Throws what getUserMedia does: the page has words for it.
  async start() {
    if (this.#stream) return;
    this.#stream = await navigator.mediaDevices.getUserMedia({
      video: { facingMode: "environment", width: { ideal: 1280 } }, audio: false,
    });
    this.#video.srcObject = this.#stream;
    await this.#video.play();
    this.#worker = new Worker("/checkin/decoder.js", { type: "module" });
    const canvas = document.createElement("canvas");
    const pen = canvas.getContext("2d", { willReadFrequently: true });
    const look = () => {
      if (!this.#stream) return;
      const { videoWidth: width, videoHeight: height } = this.#video;
      if (this.#paused || !width) {
        setTimeout(look, 100);
        return;
      }
      const scale = Math.min(1, WIDTH / width);
      canvas.width = Math.round(width * scale);
      canvas.height = Math.round(height * scale);
      pen.drawImage(this.#video, 0, 0, canvas.width, canvas.height);
      const pixels = pen.getImageData(0, 0, canvas.width, canvas.height).data.buffer;
      this.#worker.postMessage({ width: canvas.width, height: canvas.height, pixels }, [pixels]);
    };
    this.#worker.onmessage = ({ data: text }) => {
      if (text && !this.#paused && !(text === this.#last.text && Date.now() - this.#last.at < AGAIN_MS)) {
        this.#last = { text, at: Date.now() };
        this.#found(text);
      } else if (text && text === this.#last.text) {
        this.#last.at = Date.now();
      }
      setTimeout(look, 60);
    };
    look();
  }

  pause(paused) {
    this.#paused = paused;
    if (!paused && this.#last.text) this.#last.at = Date.now();
  }

  stop() {
    this.#stream?.getTracks().forEach((track) => track.stop());
    this.#worker?.terminate();
    this.#stream = this.#worker = null;
  }
}
