// SPDX-License-Identifier: Apache-2.0
#include "lib/scsi/mode_pages.h"

#include <algorithm>
#include <array>
#include <bit>

#include "lib/base/assert.h"
#include "lib/base/big_endian.h"

namespace ballast::scsi {

namespace {

constexpr std::size_t error_recovery_length = 12;
constexpr std::size_t caching_length = 20;
constexpr std::size_t control_length = 12;
constexpr std::size_t exceptions_length = 12;
constexpr std::size_t provisioning_length = 24;
static_assert(error_recovery_length + caching_length + control_length + exceptions_length +
                  provisioning_length ==
              ModePages::longest);

// Read-Write Error Recovery (SBC-4, 6.5.10), byte 7.
constexpr std::uint8_t lbpere = 0x80;
// Caching (SBC-4, 6.5.6), byte 2.
constexpr std::uint8_t wce = 0x04;
// Control (SPC-5, 7.5.8), bytes 2 to 5.
constexpr std::uint8_t d_sense = 0x04;
constexpr std::uint8_t unrestricted_reordering = 0x10;
constexpr std::uint8_t swp = 0x08;
constexpr std::uint8_t tas = 0x40;
// Informational Exceptions Control (SPC-5, 7.5.13), byte 3: MRIE.
constexpr std::uint8_t only_on_request = 0x06;
// Logical Block Provisioning (SBC-4, 6.5.9): byte 4, and the bytes of its one threshold descriptor.
constexpr std::uint8_t situa = 0x01;  // one initiator hears of it, not each
constexpr std::uint8_t enabled = 0x80;
constexpr std::uint8_t available_resource = 0x01;  // a parameter's code in log page 0C

// Byte 0 of a page, beside its code.
constexpr std::uint8_t parameters_saveable = 0x80;
constexpr std::uint8_t subpage_format = 0x40;

void begin_page(std::span<std::uint8_t> out, std::uint8_t code, std::size_t length) {
  std::fill_n(out.begin(), length, std::uint8_t{0});
  out[0] = code;
  out[1] = static_cast<std::uint8_t>(length - 2);
}

// Of a page that there is.
constexpr std::size_t length_of(std::uint8_t code, std::uint8_t subpage) {
  static_assert(control_length == exceptions_length && control_length == error_recovery_length);
  if (subpage != 0) {
    return provisioning_length;
  }
  return code == ModePages::caching ? caching_length : control_length;
}

constexpr std::uint8_t flag(bool set, std::uint8_t bit) {
  return set ? bit : std::uint8_t{0};
}

}  // namespace

bool ModePages::has(std::uint8_t page, std::uint8_t subpage) const {
  if (page == exceptions && subpage == provisioning) {
    return has_threshold();
  }
  const bool is_there = page == error_recovery || page == caching || page == control ||
                        page == exceptions || page == all_pages;
  return is_there && (subpage == 0 || subpage == all_subpages);
}

std::size_t ModePages::read(std::uint8_t page, std::uint8_t subpage, PageControl which,
                            std::span<std::uint8_t> out) const {
  BALLAST_ASSERT(which != PageControl::saved || saves_);
  BALLAST_ASSERT(out.size() >= longest);
  std::size_t length = 0;
  if (page == error_recovery || page == all_pages) {
    length += read_error_recovery(which, out);
  }
  if (page == caching || page == all_pages) {
    length += read_caching(which, out.subspan(length));
  }
  if (page == control || page == all_pages) {
    length += read_control(which, out.subspan(length));
  }
  const bool is_exceptions = page == exceptions || page == all_pages;
  if (is_exceptions && subpage != provisioning) {
    length += read_exceptions(which, out.subspan(length));
  }
  if (is_exceptions && subpage != 0 && has_threshold()) {
    length += read_provisioning(which, out.subspan(length));
  }
  return length;
}

// Whether and how often the store tries again is its own affair. LBPERE: somebody is told when the
// threshold is reached.
std::size_t ModePages::read_error_recovery(PageControl which, std::span<std::uint8_t> out) const {
  begin_page(out, error_recovery, error_recovery_length);
  out[7] = flag(which != PageControl::changeable && has_threshold(), lbpere);
  return error_recovery_length;
}

std::size_t ModePages::read_caching(PageControl which, std::span<std::uint8_t> out) const {
  begin_page(out, caching | flag(saves_, parameters_saveable), caching_length);
  bool set = volatile_cache_;  // changeable
  if (which != PageControl::changeable) {
    set = which == PageControl::defaults ? begins_with_cache_ : values_.write_cache;
  }
  out[2] = flag(set, wce);
  return caching_length;
}

std::size_t ModePages::read_control(PageControl which, std::span<std::uint8_t> out) const {
  begin_page(out, control | flag(saves_, parameters_saveable), control_length);
  if (which == PageControl::changeable) {
    out[2] = d_sense;
    out[4] = swp;
    return control_length;
  }
  const Values values = which == PageControl::defaults ? Values{} : values_;
  out[2] = flag(values.descriptor_sense, d_sense);
  out[3] = unrestricted_reordering;
  out[4] = flag(values.software_write_protect, swp);
  out[5] = tas;  // LIO itself answers TASK ABORTED, unless its emulate_tas is off
  return control_length;
}

// REQUEST SENSE and the log page show a LUN that is stalled. No command fails because of it.
std::size_t ModePages::read_exceptions(PageControl which, std::span<std::uint8_t> out) {
  begin_page(out, exceptions, exceptions_length);
  out[3] = which == PageControl::changeable ? std::uint8_t{0} : only_on_request;
  return exceptions_length;
}

std::size_t ModePages::read_provisioning(PageControl which, std::span<std::uint8_t> out) const {
  std::fill_n(out.begin(), provisioning_length, std::uint8_t{0});
  out[0] = exceptions | subpage_format;
  out[1] = provisioning;
  put16(out, 2, provisioning_length - 4);
  if (which == PageControl::changeable) {
    return provisioning_length;
  }
  out[4] = situa;
  // A soft threshold that is armed while the room gets less (both 0).
  const std::span<std::uint8_t> descriptor = out.subspan(threshold_at);
  descriptor[0] = flag(*threshold_ != 0, enabled);
  descriptor[1] = available_resource;
  put32(descriptor, 4, *threshold_);
  return provisioning_length;
}

std::optional<Sense> ModePages::judge_page(std::span<const std::uint8_t> page, std::size_t offset,
                                           Selection* selection) const {
  const std::uint8_t code = page[0] & 0x3f;
  const std::uint8_t subpage = (page[0] & subpage_format) != 0 ? page[1] : std::uint8_t{0};
  std::array<std::uint8_t, longest> current;
  std::array<std::uint8_t, longest> changeable;
  const std::size_t length = read(code, subpage, PageControl::current, current);
  (void)read(code, subpage, PageControl::changeable, changeable);
  BALLAST_ASSERT(length == page.size());
  for (std::size_t i = subpage == 0 ? 2 : 4; i < length; ++i) {
    const std::uint8_t changed = static_cast<std::uint8_t>((page[i] ^ current[i]) & ~changeable[i]);
    if (changed != 0) {
      return invalid_field_in_parameter_list(offset + i, std::bit_width(changed) - 1);
    }
  }
  if (code == caching) {
    selection->caching = true;
    selection->values.write_cache = (page[2] & wce) != 0;
  } else if (code == control) {
    selection->control = true;
    selection->values.descriptor_sense = (page[2] & d_sense) != 0;
    selection->values.software_write_protect = (page[4] & swp) != 0;
  }
  return std::nullopt;
}

std::optional<Sense> ModePages::judge(std::span<const std::uint8_t> pages, std::size_t offset,
                                      Selection* selection) const {
  while (!pages.empty()) {
    const std::uint8_t code = pages[0] & 0x3f;
    const bool with_subpage = (pages[0] & subpage_format) != 0;
    if (code == all_pages || !has(code, 0)) {
      return invalid_field_in_parameter_list(offset, 5);
    }
    if (with_subpage && !(code == exceptions && has_threshold())) {
      return invalid_field_in_parameter_list(offset, 6);
    }
    const std::size_t header = with_subpage ? 4 : 2;
    if (pages.size() < header) {
      return illegal_request(asc::parameter_list_length_error);
    }
    if (with_subpage && pages[1] != provisioning) {
      return invalid_field_in_parameter_list(offset + 1);
    }
    const std::size_t length = length_of(code, with_subpage ? pages[1] : std::uint8_t{0});
    const std::size_t claimed = with_subpage ? be16(pages, 2) : pages[1];
    if (claimed != length - header) {
      return invalid_field_in_parameter_list(offset + header - (with_subpage ? 2 : 1));
    }
    if (pages.size() < length) {
      return illegal_request(asc::parameter_list_length_error);
    }
    const std::optional<Sense> error = judge_page(pages.first(length), offset, selection);
    if (error.has_value()) {
      return error;
    }
    pages = pages.subspan(length);
    offset += length;
  }
  return std::nullopt;
}

void ModePages::restore(const Values& kept) {
  values_ = kept;
  values_.write_cache = volatile_cache_ && kept.write_cache;
}

ModePages::Values ModePages::after(const Selection& selection, std::uint64_t turn) const {
  Values values = values_;
  if (selection.caching && turn > caching_set_) {
    values.write_cache = selection.values.write_cache;
  }
  if (selection.control && turn > control_set_) {
    values.descriptor_sense = selection.values.descriptor_sense;
    values.software_write_protect = selection.values.software_write_protect;
  }
  return values;
}

void ModePages::apply(const Selection& selection, std::uint64_t turn) {
  values_ = after(selection, turn);
  if (selection.caching) {
    caching_set_ = std::max(caching_set_, turn);
  }
  if (selection.control) {
    control_set_ = std::max(control_set_, turn);
  }
}

}  // namespace ballast::scsi
