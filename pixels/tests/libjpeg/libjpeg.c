/* What libjpeg makes of JPEGs, for tests/libjpeg: reads requests from stdin until it ends (u32 length, bytes) and answers each
   with u32 verdict (0 decoded, 1 decoded with warnings, 2 refused, 3 not to be compared), u32 width, u32 height, u32
   length of a message and the message, and, where it decoded, RGB. Numbers are little-endian. CMYK becomes RGB as in Pillow. */

#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <jpeglib.h>

/* Pixels. */
#define LARGEST (1u << 18)
/* What the coefficients of a block may sum to: beyond, libjpeg's vector code, its plain code and ours overflow in different
   ways. No samples of eight bits have as much. */
#define LOUDEST 4096

static jmp_buf failed;
static char message[4096];

static void note(j_common_ptr info) {
  char text[JMSG_LENGTH_MAX];
  (*info->err->format_message)(info, text);
  if (strlen(message) + strlen(text) + 2 < sizeof message && !strstr(message, text)) {
    if (*message) strcat(message, "; ");
    strcat(message, text);
  }
}

static void fail(j_common_ptr info) {
  *message = 0;
  note(info);
  longjmp(failed, 1);
}

static void emit(j_common_ptr info, int level) {
  if (level < 0) {
    info->err->num_warnings++;
    note(info);
  }
}

static void put(uint32_t number) { fwrite(&number, 4, 1, stdout); }

static void answer(uint32_t verdict, uint32_t width, uint32_t height) {
  put(verdict), put(width), put(height), put(strlen(message));
  fwrite(message, 1, strlen(message), stdout);
}

/* Light that `ink` leaves of `black`, which is inverted (Pillow's cmyk2rgb). */
static uint8_t without_ink(uint8_t ink, uint8_t black) {
  unsigned product = ink * black + 128;
  return black - (((product >> 8) + product) >> 8);
}

/* Whether the coefficients of all blocks are within bounds. They are not known where there is an error behind the picture. */
static int is_sane(const uint8_t *bytes, uint32_t length) {
  struct jpeg_decompress_struct info;
  struct jpeg_error_mgr errors;
  volatile int sane = 0;
  info.err = jpeg_std_error(&errors);
  errors.error_exit = fail;
  errors.emit_message = emit;
  if (!setjmp(failed)) {
    jpeg_create_decompress(&info);
    jpeg_mem_src(&info, (unsigned char *)bytes, length);
    jpeg_read_header(&info, TRUE);
    jvirt_barray_ptr *arrays = jpeg_read_coefficients(&info);
    sane = 1;
    for (int c = 0; c < info.num_components; c++) {
      jpeg_component_info *component = &info.comp_info[c];
      if (!component->quant_table) continue; /* No scan has it. */
      for (JDIMENSION y = 0; y < component->height_in_blocks; y++) {
        JBLOCKROW blocks = info.mem->access_virt_barray((j_common_ptr)&info, arrays[c], y, 1, FALSE)[0];
        for (JDIMENSION x = 0; x < component->width_in_blocks; x++) {
          long sum = 0;
          for (int k = 0; k < 64; k++) sum += labs((long)blocks[x][k] * component->quant_table->quantval[k]);
          if (sum > LOUDEST) sane = 0;
        }
      }
    }
  }
  jpeg_destroy_decompress(&info);
  return sane;
}

static void decode(const uint8_t *bytes, uint32_t length) {
  struct jpeg_decompress_struct info;
  struct jpeg_error_mgr errors;
  uint8_t *volatile rgb = NULL;
  uint8_t *volatile row = NULL;
  *message = 0;
  info.err = jpeg_std_error(&errors);
  errors.error_exit = fail;
  errors.emit_message = emit;
  if (setjmp(failed)) {
    answer(2, 0, 0);
    goto done;
  }
  jpeg_create_decompress(&info);
  jpeg_mem_src(&info, (unsigned char *)bytes, length);
  jpeg_read_header(&info, TRUE);
  if ((uint64_t)info.image_width * info.image_height > LARGEST) {
    answer(3, 0, 0);
    goto done;
  }
  int four = info.num_components == 4;
  info.out_color_space = four ? JCS_CMYK : JCS_RGB;
  info.dct_method = JDCT_ISLOW;
  jpeg_start_decompress(&info);
  uint32_t width = info.output_width, height = info.output_height;
  rgb = malloc((size_t)width * height * 3);
  row = malloc((size_t)width * 4);
  while (info.output_scanline < height) {
    uint8_t *to = rgb + (size_t)info.output_scanline * width * 3;
    JSAMPROW one = four ? row : to;
    jpeg_read_scanlines(&info, &one, 1);
    for (uint32_t x = 0; four && x < width; x++)
      for (int color = 0; color < 3; color++)
        to[3 * x + color] = without_ink(255 - row[4 * x + color], row[4 * x + 3]);
  }
  jpeg_destroy_decompress(&info);
  char warnings[sizeof message];
  memcpy(warnings, message, sizeof message);
  int sane = is_sane(bytes, length);
  memcpy(message, warnings, sizeof message);
  if (!sane) {
    *message = 0;
    answer(3, 0, 0);
    goto done;
  }
  answer(errors.num_warnings > 0, width, height);
  fwrite(rgb, 1, (size_t)width * height * 3, stdout);
done:
  jpeg_destroy_decompress(&info);
  free(rgb);
  free(row);
}

int main(void) {
  uint32_t length;
  while (fread(&length, 4, 1, stdin) == 1) {
    uint8_t *bytes = malloc(length + 1);
    if (fread(bytes, 1, length, stdin) != length) return 1;
    decode(bytes, length);
    fflush(stdout);
    free(bytes);
  }
  return 0;
}
