//! Grafana's JSON.

use serde_json::{Value, json};

use super::{Dashboard, Drawing, Panel, chosen};

/// Height of a panel, and of one that is a number.
const HEIGHT: u32 = 8;
const NUMBER_HEIGHT: u32 = 4;

/// Width of a dashboard.
const WIDTH: u32 = 24;

/// The version of the model: Grafana 10 and later read it, and bring it up to date themselves.
const SCHEMA: u32 = 38;

pub(super) fn dashboard(dashboard: &Dashboard) -> String {
    let value = json!({
        "uid": dashboard.uid,
        "title": dashboard.title,
        "tags": ["corelane"],
        "schemaVersion": SCHEMA,
        "editable": true,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "links": [{"type": "dashboards", "tags": ["corelane"], "title": "Corelane", "keepTime": true, "includeVars": true}],
        "templating": {"list": variables()},
        "annotations": {"list": [restarts()]},
        "panels": panels(dashboard),
    });
    format!("{value:#}\n")
}

fn source() -> Value {
    json!({"type": "prometheus", "uid": "${datasource}"})
}

fn variables() -> Vec<Value> {
    let choice = |name: &str, label: &str, query: &str| {
        json!({
            "name": name, "label": label, "type": "query", "datasource": source(), "query": query, "definition": query,
            "refresh": 2, "sort": 1, "multi": true, "includeAll": true, "allValue": ".*",
            "current": {"text": "All", "value": "$__all"},
        })
    };
    vec![
        json!({"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"}),
        choice("cluster", "Cluster", "label_values(corelane_process_build_info, cluster)"),
        choice("instance", "Host", "label_values(corelane_process_build_info{cluster=~\"$cluster\"}, instance)"),
    ]
}

fn restarts() -> Value {
    json!({
        "name": "Starts of processes", "datasource": source(), "enable": true, "iconColor": "blue",
        "expr": chosen("changes(corelane_process_start_time_seconds{@}[1m]) > 0"), "titleFormat": "{{instance}} started",
    })
}

/// Panels from left to right, row below row.
fn panels(dashboard: &Dashboard) -> Vec<Value> {
    let mut placed = Vec::new();
    let mut y = 0;
    for row in dashboard.rows {
        let id = placed.len() + 1;
        placed.push(json!({
            "id": id, "type": "row", "title": row.title, "collapsed": false, "panels": [],
            "gridPos": {"x": 0, "y": y, "w": WIDTH, "h": 1},
        }));
        y += 1;
        let (mut x, mut height) = (0, 0);
        for item in row.panels {
            if x + item.width > WIDTH {
                (x, y, height) = (0, y + height, 0);
            }
            let own_height = if item.drawing == Drawing::Number { NUMBER_HEIGHT } else { HEIGHT };
            let place = json!({"x": x, "y": y, "w": item.width, "h": own_height});
            placed.push(panel(item, placed.len() + 1, &place));
            x += item.width;
            height = height.max(own_height);
        }
        y += height;
    }
    placed
}

fn panel(panel: &Panel, id: usize, place: &Value) -> Value {
    let is_table = panel.drawing == Drawing::Table;
    let targets = ('A'..).zip(panel.queries).map(|(letter, (expression, legend))| {
        json!({
            "refId": letter.to_string(), "datasource": source(), "expr": chosen(expression), "legendFormat": legend,
            "instant": is_table, "range": !is_table,
            "format": match panel.drawing { Drawing::Table => "table", Drawing::Heat => "heatmap", _ => "time_series" },
        })
    });
    let mut value = json!({
        "id": id, "title": panel.title, "description": panel.about, "type": kind(panel.drawing), "datasource": source(),
        "gridPos": place,
        "targets": targets.collect::<Vec<_>>(),
        "fieldConfig": {"defaults": {"unit": panel.unit, "custom": custom(panel.drawing)}, "overrides": []},
        "options": options(panel.drawing),
    });
    if is_table {
        value["transformations"] =
            json!([{"id": "organize", "options": {"excludeByName": {"Time": true, "__name__": true, "Value": true}}}]);
    }
    value
}

fn kind(drawing: Drawing) -> &'static str {
    match drawing {
        Drawing::Lines | Drawing::Stacked => "timeseries",
        Drawing::Number => "stat",
        Drawing::Table => "table",
        Drawing::Heat => "heatmap",
    }
}

fn custom(drawing: Drawing) -> Value {
    match drawing {
        Drawing::Stacked => json!({"stacking": {"mode": "normal"}, "fillOpacity": 40, "lineWidth": 0}),
        Drawing::Lines => json!({"lineWidth": 1, "fillOpacity": 0}),
        Drawing::Number | Drawing::Table | Drawing::Heat => json!({}),
    }
}

fn options(drawing: Drawing) -> Value {
    match drawing {
        Drawing::Lines | Drawing::Stacked => json!({
            "legend": {"displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "max"]},
            "tooltip": {"mode": "multi", "sort": "desc"},
        }),
        Drawing::Number => {
            json!({"reduceOptions": {"calcs": ["lastNotNull"]}, "graphMode": "area", "colorMode": "value"})
        }
        Drawing::Table => json!({"showHeader": true}),
        Drawing::Heat => json!({
            "calculate": false, "yAxis": {"unit": "s"}, "color": {"scheme": "Oranges", "mode": "scheme"}, "cellGap": 0,
        }),
    }
}
