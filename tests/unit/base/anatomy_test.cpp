// SPDX-License-Identifier: Apache-2.0
// The forms of libstdc++'s objects that whoever reads a core file relies on. Offsets of members are
// the compiler's own (offsetof), but within these objects it does not reach.
#include "lib/base/anatomy.h"

#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <source_location>
#include <span>
#include <string>
#include <vector>

#include "tests/cmocka.h"

using namespace ballast;

namespace {

constexpr std::size_t pointer = sizeof(void*);

template <class T, class Object>
T at(const Object& object, std::size_t offset) {
  T value;
  assert_true(offset + sizeof value <= sizeof object);
  std::memcpy(&value, reinterpret_cast<const std::byte*>(&object) + offset, sizeof value);
  return value;
}

void a_string_is_a_pointer_and_a_length(void**) {
  for (const std::string& text : {std::string{"short"}, std::string(100, 'x')}) {
    assert_ptr_equal(at<const char*>(text, 0), text.data());
    assert_int_equal(at<std::size_t>(text, pointer), text.size());
  }
}

void a_vector_is_two_pointers(void**) {
  std::vector<int> numbers{1, 2, 3};
  numbers.reserve(10);
  assert_ptr_equal(at<const int*>(numbers, 0), numbers.data());
  assert_ptr_equal(at<const int*>(numbers, pointer), numbers.data() + numbers.size());
}

void a_span_is_a_pointer_and_a_length(void**) {
  const int numbers[3]{};
  const std::span<const int> span{numbers};
  assert_ptr_equal(at<const int*>(span, 0), numbers);
  assert_int_equal(at<std::size_t>(span, pointer), 3);
}

void a_unique_ptr_is_a_pointer(void**) {
  const auto number = std::make_unique<int>(1);
  assert_int_equal(sizeof number, pointer);
  assert_ptr_equal(at<const int*>(number, 0), number.get());
}

void the_flag_of_an_optional_is_behind_its_value(void**) {
  std::optional<std::uint64_t> number{~std::uint64_t{0}};
  assert_true(at<bool>(number, sizeof(std::uint64_t)));
  number.reset();
  assert_false(at<bool>(number, sizeof(std::uint64_t)));
}

void a_deque_has_a_pointer_to_its_first_element(void**) {
  std::deque<std::uint64_t> numbers;
  for (std::uint64_t i = 0; i < 1000; ++i) {  // its memory goes on elsewhere, and more than once
    numbers.push_back(i);
    if (i % 3 == 0) {
      numbers.pop_front();
    }
    if (!numbers.empty()) {
      assert_ptr_equal(at<const std::uint64_t*>(numbers, anatomy::deque_first), &numbers.front());
    }
  }
}

void a_map_has_its_size(void**) {
  std::map<int, std::string> map;
  for (std::size_t i = 0; i < 20; ++i) {
    assert_int_equal(at<std::size_t>(map, anatomy::map_size), i);
    map[static_cast<int>(i)] = "text";
  }
}

void a_source_location_points_to_file_function_and_line(void**) {
  struct Place {
    const char* file;
    const char* function;
    unsigned line;
  };
  const std::source_location here = std::source_location::current();
  assert_int_equal(sizeof here, pointer);
  const auto* const place = at<const Place*>(here, 0);
  assert_string_equal(place->file, here.file_name());
  assert_string_equal(place->function, here.function_name());
  assert_int_equal(place->line, here.line());
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(a_string_is_a_pointer_and_a_length),
      cmocka_unit_test(a_vector_is_two_pointers),
      cmocka_unit_test(a_span_is_a_pointer_and_a_length),
      cmocka_unit_test(a_unique_ptr_is_a_pointer),
      cmocka_unit_test(the_flag_of_an_optional_is_behind_its_value),
      cmocka_unit_test(a_deque_has_a_pointer_to_its_first_element),
      cmocka_unit_test(a_map_has_its_size),
      cmocka_unit_test(a_source_location_points_to_file_function_and_line),
  };
  return cmocka_run_group_tests_name("anatomy", tests, nullptr, nullptr);
}
