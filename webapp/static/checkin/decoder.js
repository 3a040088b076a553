// Looks for a QR code in a picture, beside the page, so that the page never waits.
import { decodeQR } from "./qr/decode.js";

self.onmessage = ({ data }) => {
  let text = null;
  try {
    text = decodeQR({ width: data.width, height: data.height, data: new Uint8ClampedArray(data.pixels) });
  } catch {
    // no code in this picture: most have none
  }
  self.postMessage(text);
};
