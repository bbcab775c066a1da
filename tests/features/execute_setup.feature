Feature: Execute a setup
  An analyst has a setup; one request executes it at the broker as a native bracket,
  entry and stop together, exactly once, and answers with its reference.

  Background:
    Given the system is up
    And AAPL trades at 189.50

  Scenario: A market setup is filled and protected
    Given a LONG market setup for 10 AAPL with its stop at 185.00
    When the analyst executes it and waits
    Then the answer has a reference like IB-<entry>:<stop>
    And the broker's book has exactly one entry and one stop for it
    And the stop is a live child of the entry for 10 shares at 185.00
    And the API, the admin and the broker's book show the same orders, fills and commissions

  Scenario: Executed twice with one key, placed once
    Given a LONG market setup for 10 AAPL with its stop at 185.00
    When the analyst executes it twice with the same key
    Then both answers name the same execution
    And the broker's book has exactly one entry and one stop for it

  Scenario: Executed ten times at once with one key, placed once
    Given a LONG market setup for 10 AAPL with its stop at 185.00
    When ten scripts execute it at once with the same key
    Then both answers name the same execution
    And the broker's book has exactly one entry and one stop for it

  Scenario: A market entry that is not filled in time is cancelled with its stop
    Given fills are paused at the broker
    And a LONG market setup for 10 AAPL with its stop at 185.00, to be filled within 2 seconds
    When the analyst executes it
    Then the execution ends CANCELLED because of entry_timeout
    And the broker's book has no live order for it

  Scenario: The stop is hit
    Given a LONG market setup for 10 AAPL with its stop at 185.00
    When the analyst executes it and waits
    And AAPL falls to 184.00
    Then the execution ends CLOSED because of STOP_LOSS
    And the API, the admin and the broker's book show the same orders, fills and commissions

  Scenario: Two targets are two brackets, each with its stop
    Given a LONG market setup for 10 AAPL with its stop at 185.00 and targets at 195.00 and 199.00
    When the analyst executes it and waits
    Then every filled share has a live stop and a live target at the broker
    When AAPL rises to 196.00
    Then 5 shares are open and 5 are stopped at the broker

  Scenario: The broker refuses the order
    Given the broker refuses the next order with 201 "Order rejected - reason:No trading permissions."
    And a LONG market setup for 10 AAPL with its stop at 185.00
    When the analyst executes it and waits
    Then the execution ends REJECTED because of order_refused
    And the entry shows the broker's code 201
    And the broker's book has no live order for it

  Scenario Outline: A wrong request gets its own code
    When a script posts a setup with <field> set to <value>
    Then the answer is <status> with the code <code>

    Examples:
      | field       | value    | status | code                |
      | stop_price  | 195.00   | 422    | stop_wrong_side     |
      | stop_price  | 185.001  | 422    | price_off_tick      |
      | symbol      | NOSUCH   | 422    | unknown_symbol      |
      | quantity    | 0        | 422    | size_not_positive   |

  Scenario: Without a token nothing is answered
    When a script without a token asks for the setups
    Then the answer is 401 with the code not_authenticated
