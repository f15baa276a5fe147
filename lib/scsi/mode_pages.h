// SPDX-License-Identifier: Apache-2.0
// The mode pages of a LUN: Caching (08) and Control (0A), what of them can be changed, and what
// they say now.
//
// Changeable: WCE, where the backend has a volatile cache; D_SENSE; SWP. Changes last until the LUN
// is closed; nothing is saved. MODE SELECT first judges the whole list, then applies it, so that a
// list with an error changes nothing. What is applied late (turning the cache off takes a flush)
// does not undo what came after it. Driving thread only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "lib/scsi/sense.h"

namespace ballast::scsi {

enum class PageControl : std::uint8_t { current = 0, changeable = 1, defaults = 2, saved = 3 };

class ModePages {
 public:
  struct Values {
    bool write_cache = false;             // WCE, page 08
    bool descriptor_sense = false;        // D_SENSE, page 0A
    bool software_write_protect = false;  // SWP, page 0A
  };

  static constexpr std::uint8_t caching = 0x08;
  static constexpr std::uint8_t control = 0x0a;
  static constexpr std::uint8_t all_pages = 0x3f;
  static constexpr std::size_t longest = 20 + 12;  // of all pages together, in bytes

  explicit ModePages(bool volatile_cache)
      : volatile_cache_{volatile_cache}, values_{.write_cache = volatile_cache} {}

  bool write_cache() const { return values_.write_cache; }
  bool descriptor_sense() const { return values_.descriptor_sense; }
  bool software_write_protect() const { return values_.software_write_protect; }

  // Whether MODE SENSE may ask for this page; 3F asks for all.
  static bool has(std::uint8_t page, std::uint8_t subpage);
  // Writes the page (or all, in ascending order) to the front of `out`, at least `longest` bytes;
  // returns the length. Not for PageControl::saved.
  std::size_t read(std::uint8_t page, PageControl which, std::span<std::uint8_t> out) const;

  // What a MODE SELECT asks for: of the pages that are in its list.
  struct Selection {
    Values values;
    bool caching = false;
    bool control = false;
    bool turns_cache_off() const { return caching && !values.write_cache; }
  };
  // Judges the pages of a MODE SELECT list; `offset` is where they begin in the list, for the field
  // pointer. Fills in the selection and returns nothing, or returns the error.
  std::optional<Sense> judge(std::span<const std::uint8_t> pages, std::size_t offset,
                             Selection* selection) const;
  // The place of a MODE SELECT in the order of coming.
  std::uint64_t next_turn() { return ++turns_; }
  // Applies what no newer one has set.
  void apply(const Selection& selection, std::uint64_t turn);

 private:
  std::size_t read_caching(PageControl which, std::span<std::uint8_t> out) const;
  std::size_t read_control(PageControl which, std::span<std::uint8_t> out) const;
  std::optional<Sense> judge_page(std::span<const std::uint8_t> page, std::size_t offset,
                                  Selection* selection) const;
  bool volatile_cache_;
  Values values_;
  std::uint64_t turns_ = 0;
  std::uint64_t caching_set_ = 0;  // the turn that set it
  std::uint64_t control_set_ = 0;
};

}  // namespace ballast::scsi
